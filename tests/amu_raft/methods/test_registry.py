"""The registry of methods, and what everything in it must keep to."""

import importlib
import re
from collections import Counter
from typing import Any, get_args

import pytest

from amu_raft.methods import Branches, Features, Method, Recipe, get_method, method_names, register
from amu_raft.methods.given import Learning

pytestmark = pytest.mark.usefixtures("trainers_of_this_test")


def named(name: str, *, module: str = "elsewhere", **attributes: Any) -> type[Method]:
    def branches(self: Method, features: Features) -> Branches:
        return {"zero_shot": self.zero_shot(features)}

    return type(name, (Method,), {"__module__": module, "branches": branches, **attributes})


def test_a_method_is_found_by_name_alias_and_class() -> None:
    assert {"AMU", "RAFT", "ZeroshotCLIP"} <= set(method_names()) and method_names() == sorted(method_names())
    assert get_method("AMU") is get_method("amu") is get_method(get_method("Amu"))
    assert get_method("zeroshot") is get_method("ZeroShot") is get_method("ZeroshotCLIP")
    own = register(named("MyOwn", aliases=("mine",)))
    assert get_method("myown") is own is get_method("Mine") and "MyOwn" in method_names()


def test_an_unknown_method_lists_those_that_there_are() -> None:
    with pytest.raises(ValueError) as caught:
        get_method("RAFTT")
    message = str(caught.value)
    assert message.startswith("unknown method 'RAFTT' (did you mean 'RAFT'?); registered are ")
    assert all(name in message for name in method_names()) and "--import" in message and "\n" not in message
    with pytest.raises(ValueError, match=r"^unknown method 'xyzzy'; registered are "):
        get_method("xyzzy")
    with pytest.raises(ValueError, match=re.escape("unknown method <class 'int'>")):
        get_method(int)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["AMU", "amu", "ZeroShot"])
def test_a_name_is_given_once(name: str) -> None:
    before = get_method(name)
    with pytest.raises(ValueError, match=rf"a method '{before.__name__}' of amu_raft.methods.* rename '{name}', for '"):
        register(named(name))
    assert get_method(name) is before


def test_an_alias_may_be_no_other_methods_name() -> None:
    for alias in ("raft", "zeroshot"):
        with pytest.raises(
            ValueError, match=f"is registered already; rename 'Mine', for '{alias}' must name one method"
        ):
            register(named("Mine", aliases=(alias,)))
    assert "Mine" not in method_names()


def test_a_module_that_is_loaded_again_registers_its_own_again() -> None:
    register(named("Mine"))
    again = register(named("Mine"))
    assert get_method("Mine") is again
    with pytest.raises(ValueError, match="a method 'Mine' of elsewhere is registered already"):
        register(named("Mine", module="somewhere"))


# ------------------------------------------------------------------------------------------------------- all of them


def test_names_and_aliases_name_one_method() -> None:
    kinds = [get_method(name) for name in method_names()]
    counts = Counter(word for kind in kinds for word in {kind.__name__.lower(), *kind.aliases})
    assert max(counts.values()) == 1
    assert all(alias == alias.lower() for kind in kinds for alias in kind.aliases)


@pytest.mark.parametrize("name", method_names())
def test_the_attributes_of_a_method(name: str) -> None:
    kind = get_method(name)
    assert kind.__module__.startswith("amu_raft.methods.") and (kind.__doc__ or "").strip()
    source = importlib.import_module(kind.__module__).__doc__ or ""
    assert re.search(r"\b20\d\d\b|Linear probes", source)  # where it comes from, or that it is a yardstick
    assert kind.learns in get_args(Learning)
    assert "clip" in kind.reads and set(kind.reads) <= {"clip", "maps", "aux", *kind.readers}
    assert all(isinstance(recipe, Recipe) for recipe in (kind.recipe, *kind.recipes.values()))
    assert kind.recipe_for("tiny").threads == 1
    trained_by_loss = kind.loss is not Method.loss
    assert trained_by_loss == (kind.learns == "gradient")
