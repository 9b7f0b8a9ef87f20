from dataclasses import dataclass, fields
from typing import Any

import pytest

from amu_raft.methods import MethodSettings, get_method, method_names, one_of, within
from amu_raft.methods.settings import SettingError, read_choices, settings_of, typed


@dataclass(frozen=True)
class Some(MethodSettings):
    kind: str = "a"
    rate: float = 0.5
    count: int = 3
    flag: bool = False


def test_one_of_the_accepted_words() -> None:
    one_of(Some(), "kind", ("a", "b"))
    with pytest.raises(SettingError, match=r"^setting kind is 'c'; choose from a, b$") as caught:
        one_of(Some(kind="c"), "kind", ("a", "b"))
    assert (caught.value.name, caught.value.reason) == ("kind", "is 'c'; choose from a, b")


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_within_a_range_with_its_ends(value: float) -> None:
    within(Some(rate=value), "rate", 0, 1)


@pytest.mark.parametrize(
    ("value", "limits"), [(-0.1, (0, 1)), (1.1, (0, 1)), (float("nan"), (0, 1)), (float("nan"), (0,))]
)
def test_outside_a_range(value: float, limits: tuple[float, ...]) -> None:
    accepted = "from 0 to 1" if len(limits) == 2 else "at least 0"
    with pytest.raises(SettingError, match=f"^setting rate must be {accepted}, got {value}$"):
        within(Some(rate=value), "rate", *limits)


def test_values_take_the_type_of_the_default() -> None:
    found = settings_of(Some, {"rate": 2, "count": 4, "flag": True, "kind": "b"})
    assert found == Some("b", 2.0, 4, True) and isinstance(found.rate, float)
    assert settings_of(Some, {}) == Some()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", "2", "setting rate takes a value of type float, got '2'"),
        ("rate", True, "setting rate takes a value of type float, got 'True'"),
        ("rate", float("inf"), "setting rate must be a finite number, got inf"),
        ("rate", 10**400, "setting rate must be a finite number, got 1000"),
        ("count", 2.0, "setting count takes a value of type int, got '2.0'"),
        ("count", True, "setting count takes a value of type int, got 'True'"),
        ("flag", 1, "setting flag takes a value of type bool, got '1'"),
        ("kind", ["a"], "setting kind takes a value of type str, got"),
        ("kind", None, "setting kind takes a value of type str, got 'None'"),
    ],
)
def test_values_of_another_type(name: str, value: Any, message: str) -> None:
    for call in (
        lambda: settings_of(Some, {name: value}),
        lambda: read_choices(Some, [name], {name: value}, method="M"),
    ):
        with pytest.raises(SettingError, match=f"^{message}") as caught:
            call()
        assert caught.value.name == name
    with pytest.raises(SettingError, match=message):
        typed(name, value, getattr(Some(), name))


def test_an_unknown_setting_names_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"^unknown setting 'kinds'; there are kind, rate, count, flag$"):
        settings_of(Some, {"kinds": "a"})
    with pytest.raises(ValueError, match=r"^unknown setting 'kind'; there are none$"):
        settings_of(MethodSettings, {"kind": "a"})


def test_choices_are_the_chosen_settings_and_no_others() -> None:
    assert read_choices(Some, ("kind", "rate"), {"rate": 1, "kind": "b"}, method="M") == {"kind": "b", "rate": 1.0}
    with pytest.raises(ValueError, match=r'^choice "rate" is missing$'):
        read_choices(Some, ("kind", "rate"), {"kind": "b"}, method="M")
    with pytest.raises(ValueError, match=r"^M has no choice 'count'$"):
        read_choices(Some, ("kind",), {"kind": "b", "count": 3}, method="M")


@pytest.mark.parametrize("name", method_names())
def test_every_setting_of_a_method_has_a_plain_default_that_is_accepted(name: str) -> None:
    kind = get_method(name)
    settings = kind.Settings()
    values = {item.name: getattr(settings, item.name) for item in fields(kind.Settings)}
    assert all(type(value) in (bool, int, float, str) for value in values.values())
    assert settings_of(kind.Settings, values) == settings
    assert set(kind.chosen) <= values.keys()
    assert ("aux" in kind.reads) == ("aux_encoder" in values)
