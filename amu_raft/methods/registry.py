"""The methods by name. A room registers its own; nothing else lists them."""

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import TypeVar

from amu_raft.methods.contract import Method
from amu_raft.methods.declarations import check_declarations

Kind = TypeVar("Kind", bound=type[Method])
DEFAULT_METHOD = "AMU"  # of those who do not choose
_METHODS: dict[str, type[Method]] = {}


def register(kind: Kind) -> Kind:
    """Add a method by its class name; to be used as a decorator.

    A module that is loaded a second time may register its own again.

    Raises:
        ValueError: If another method has the name or an alias, in whatever case, or declarations do not go together.
    """
    _check(kind)
    _METHODS[kind.__name__] = kind
    return kind


def _check(kind: type[Method]) -> None:
    check_declarations(kind)
    for other in _METHODS.values():
        itself = (other.__module__, other.__name__) == (kind.__module__, kind.__name__)
        if not itself and (shared := _words(other) & _words(kind)):
            raise ValueError(
                f"a method {other.__name__!r} of {other.__module__} is registered already; rename {kind.__name__!r}, "
                f"for {min(shared)!r} must name one method"
            )


def _words(kind: type[Method]) -> set[str]:
    return {kind.__name__.lower(), *vars(kind).get("aliases", ())}  # those of a base class are its own


def method_names() -> list[str]:
    """Return the names of all registered methods, sorted."""
    _find_rooms()
    return sorted(_METHODS)


def get_method(name: str | type[Method]) -> type[Method]:
    """Return a method by its name, in any case, or by an alias; a class is returned as it is.

    Raises:
        ValueError: If there is none, naming those that there are; if a class has the name of another method, by which a
            model folder would name it; or its declarations do not go together.
    """
    _find_rooms()
    if isinstance(name, type) and issubclass(name, Method):
        if name not in _METHODS.values():
            _check(name)
        return name
    for kind in _METHODS.values():
        if str(name).lower() in _words(kind):
            return kind
    near = get_close_matches(str(name).lower(), [known.lower() for known in _METHODS], n=1, cutoff=0.6)
    hint = f" (did you mean {next(known for known in _METHODS if known.lower() == near[0])!r}?)" if near else ""
    raise ValueError(
        f"unknown method {name!r}{hint}; registered are {', '.join(sorted(_METHODS))}; "
        "the module of one of your own is named by --import"
    )


@cache
def _find_rooms() -> None:
    """Import every module of this package, so that each room registers itself."""
    package = importlib.import_module("amu_raft.methods")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
