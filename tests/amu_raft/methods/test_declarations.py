"""Mistakes in what a method says of itself are named before anything is loaded for it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from amu_raft.methods import Method, MethodSettings, get_method, method_names, register
from amu_raft.methods.declarations import check_declarations


@dataclass(frozen=True)
class Usual(MethodSettings):
    weight: float = 1.0
    tune: str = "off"


class Plain(Method):
    """Nothing special."""

    Settings = Usual

    def branches(self, features: Any) -> Any:
        return {"zero_shot": self.zero_shot(features), "adapted": self.zero_shot(features)}


def settings(**defaults: Any) -> Any:
    body = {"__annotations__": dict.fromkeys(defaults, Any), **defaults}
    return dataclass(frozen=True)(type("Settings", (MethodSettings,), body))


class NoIdentity:
    """Reads pixels and does not say how."""


def choosing(self: Any, validation: Any) -> None:
    """Choose nothing."""


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"learns": "magic"}, "learns is 'magic'; choose from nothing, closed_form, gradient"),
        ({"aliases": "gda"}, "aliases must be a tuple of names in small letters, got 'gda'"),
        ({"aliases": ("Mine",)}, "aliases must be a tuple of names in small letters"),
        ({"reads": "clip"}, "reads must be a tuple of names, got 'clip'"),
        ({"reads": ("clip", "aux")}, 'a method that reads "aux" needs a setting aux_encoder'),
        ({"chosen": ("nope",)}, "chosen names 'nope', which is no setting; there are weight, tune"),
        ({"readers": {"pixels": NoIdentity()}}, "reader 'pixels' needs a method identity"),
        ({"Settings": MethodSettings, "choose": choosing}, "choose is only called where a setting tune says so"),
        ({"Settings": settings(prec="x")}, "a setting cannot be called prec"),
        ({"Settings": settings(lr=1.0)}, "a setting cannot be called lr"),
        ({"Settings": settings(known=1.0)}, "a setting cannot be called known"),
        ({"Settings": settings(sizes=(1, 2))}, "setting sizes must have a default of type bool, int, float or str"),
        ({"Settings": settings(sizes=field(default_factory=list))}, "setting sizes must have a default"),
        ({"Settings": object}, "Settings must be a frozen dataclass"),
    ],
)
def test_mistakes(said: dict[str, Any], message: str) -> None:
    kind: Any = type("Mistaken", (Plain,), said)
    for use in (register, get_method, check_declarations):
        with pytest.raises(ValueError, match="method Mistaken: ") as caught:
            use(kind)
        assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "Mistaken" not in method_names()


def test_what_the_project_has_goes_together() -> None:
    check_declarations(Plain)
    for name in method_names():
        check_declarations(get_method(name))


def test_a_class_may_not_pass_for_another_method() -> None:
    for name in ("GDA", "gda"):
        with pytest.raises(ValueError, match=r"'GDA' of amu_raft.methods.gda is registered already; rename"):
            get_method(type(name, (Plain,), {}))
    derived: Any = type("MyAMU", (get_method("AMU"),), {})  # it does not take over the names of its base
    assert get_method(derived) is derived and get_method("amu") is get_method("AMU")
