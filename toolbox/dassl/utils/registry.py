"""Named collections of classes and functions, and the check of a requested name."""

from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import Any, TypeVar, overload

T = TypeVar("T", bound=Callable[..., Any])


class Registry:
    """Classes or functions by name, in the order in which they were registered.

    Args:
        name: What the registry holds, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._objects: dict[str, Any] = {}

    @overload
    def register(self, obj: None = None, force: bool = False) -> Callable[[T], T]: ...
    @overload
    def register(self, obj: Callable[..., Any], force: bool = False) -> None: ...

    def register(self, obj: Callable[..., Any] | None = None, force: bool = False) -> Callable[[T], T] | None:
        """Add an object under its own ``__name__``.

        Args:
            obj: The class or function. Left out, the call is a decorator: ``@REGISTRY.register()``.
            force: Replace an object of the same name.

        Returns:
            None, or the decorator, which returns its object unchanged.

        Raises:
            KeyError: If the name is taken and force is off.
        """
        if obj is not None:
            self._add(obj, force)
            return None

        def decorate(decorated: T) -> T:
            self._add(decorated, force)
            return decorated

        return decorate

    def _add(self, obj: Callable[..., Any], force: bool) -> None:
        name = obj.__name__
        if name in self._objects and not force:
            raise KeyError(f"{name} is already in the {self._name} registry; pass force=True to replace it")
        self._objects[name] = obj

    def get(self, name: str) -> Any:
        """Return the object of that name.

        Raises:
            KeyError: If there is none; the message lists the names that exist.
        """
        if name not in self._objects:
            raise KeyError(f"{name} is not in the {self._name} registry, which holds {self.registered_names()}")
        return self._objects[name]

    def registered_names(self) -> list[str]:
        """Return the names in the order of registration."""
        return list(self._objects)


def get_most_similar_str_to_a_from_b(a: str, b: Iterable[str]) -> str | None:
    """Return the member of ``b`` that is spelled most like ``a``, or None if ``b`` is empty."""
    return max(b, key=lambda candidate: SequenceMatcher(None, a, candidate).ratio(), default=None)


def check_availability(requested: str, available: list[str]) -> None:
    """Check that a name is one of those on offer.

    Raises:
        ValueError: If it is not; the message names the list, the request and the likeliest intended name.
    """
    if requested in available:
        return
    likely = get_most_similar_str_to_a_from_b(str(requested), available)
    hint = "" if likely is None else f" (do you mean [{likely}]?)"
    raise ValueError(f"The requested one is expected to belong to {available}, but got [{requested}]{hint}")
