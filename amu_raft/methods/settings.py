"""Settings of methods: frozen dataclasses, from which configuration nodes are made and choices are read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from amu_raft.plain_values import number

KEPT = "kept"  # stands for "tune" in the settings of an evaluation: the choices are those made for the model


@dataclass(frozen=True)
class MethodSettings:
    """A method's settings: every field has a default, of type bool, int, float or str."""


class SettingError(ValueError):
    """A setting that is not accepted.

    Attributes:
        name: The setting.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"setting {name} {reason}")
        self.name = name
        self.reason = reason


def one_of(settings: Any, name: str, accepted: Collection[str]) -> None:
    """Refuse a setting that is none of the accepted words.

    Raises:
        SettingError: Naming them.
    """
    value = getattr(settings, name)
    if value not in accepted:
        raise SettingError(name, f"is {value!r}; choose from {', '.join(accepted)}")


def within(settings: Any, name: str, low: float, high: float | None = None) -> None:
    """Refuse a setting that is no number from ``low``, up to ``high`` if that is given.

    Raises:
        SettingError: Naming the range.
    """
    value = getattr(settings, name)
    if not (value >= low and (high is None or value <= high)):
        accepted = f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
        raise SettingError(name, f"must be {accepted}, got {value}")


def settings_of(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Return settings with some values in place of the defaults, each brought to the type of its default.

    Args:
        kind: A dataclass of settings.
        values: By the names of its fields.

    Raises:
        SettingError: At a value that is not accepted.
        ValueError: At an unknown name, naming those that there are.
    """
    known = {item.name: item.default for item in fields(kind)}
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"unknown setting {unknown[0]!r}; there are {', '.join(known) or 'none'}")
    return kind(**{name: typed(name, value, known[name]) for name, value in values.items()})


def typed(name: str, value: Any, default: Any) -> Any:
    """Return a value with the type of a default; a whole number will do where a fraction is wanted.

    Raises:
        SettingError: If it has another type, or is no finite number.
    """
    if isinstance(default, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return number(value, name)
        except ValueError:
            raise SettingError(name, f"must be a finite number, got {str(value)[:40]}") from None
    if type(value) is not type(default):
        raise SettingError(name, f"takes a value of type {type(default).__name__}, got {str(value)[:40]!r}")
    return value


def read_choices(kind: type[Any], chosen: Sequence[str], given: Mapping[str, Any], *, method: str) -> dict[str, Any]:
    """Return the choices of a model folder as values of settings.

    Raises:
        ValueError: If one is missing, unknown or not accepted.
    """
    if missing := [name for name in chosen if name not in given]:
        raise ValueError(f'choice "{missing[0]}" is missing')
    if unknown := [name for name in given if name not in chosen]:
        raise ValueError(f"{method} has no choice {unknown[0]!r}")
    defaults = {item.name: item.default for item in fields(kind)}
    return {name: typed(name, given[name], defaults[name]) for name in chosen}
