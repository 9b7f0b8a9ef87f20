"""What a method says of itself, checked before anything is loaded for it."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args

from amu_raft.methods.contract import Method
from amu_raft.methods.given import Learning
from amu_raft.methods.recipe import KEYS

# Names that a configuration node, a model folder or a recipe has for something else.
_TAKEN = {"prec", "prompts", "known", "settings", *KEYS}


def check_declarations(kind: type[Method]) -> None:
    """Refuse a method whose declarations do not go together.

    Raises:
        ValueError: Naming the method, the declaration and what is accepted.
    """
    if reason := _reason(kind):
        raise ValueError(f"method {kind.__name__}: {reason}")


def _reason(kind: type[Method]) -> str:
    if not is_dataclass(kind.Settings):
        return "Settings must be a frozen dataclass"
    defaults = {item.name: item.default for item in fields(kind.Settings)}
    if wrong := [name for name, value in defaults.items() if value is MISSING or not _is_plain(value)]:
        return f"setting {wrong[0]} must have a default of type bool, int, float or str"
    if taken := sorted(_TAKEN & defaults.keys()):
        return f"a setting cannot be called {taken[0]}, which means something else already"
    if kind.learns not in get_args(Learning):
        return f"learns is {kind.learns!r}; choose from {', '.join(get_args(Learning))}"
    aliases: Any = kind.aliases
    if not isinstance(aliases, tuple) or not all(isinstance(name, str) and name == name.lower() for name in aliases):
        return f"aliases must be a tuple of names in small letters, got {aliases!r}"
    if not isinstance(kind.reads, tuple):
        return f"reads must be a tuple of names, got {kind.reads!r}"
    if unknown := [name for name in kind.chosen if name not in defaults]:
        return f"chosen names {unknown[0]!r}, which is no setting; there are {', '.join(defaults) or 'none'}"
    if "aux" in kind.reads and "aux_encoder" not in defaults:
        return 'a method that reads "aux" needs a setting aux_encoder'
    if wrong := [name for name, reader in kind.readers.items() if not callable(getattr(reader, "identity", None))]:
        return f"reader {wrong[0]!r} needs a method identity that says what it computes"
    if kind.choose is not Method.choose and kind.chooses is Method.chooses and "tune" not in defaults:
        return "choose is only called where a setting tune says so; add tune, or write chooses"
    return ""


def _is_plain(value: Any) -> bool:
    return type(value) in (bool, int, float, str)
