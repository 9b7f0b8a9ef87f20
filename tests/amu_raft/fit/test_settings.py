import re
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from amu_raft.fit.settings import OTHER_KEYS, OTHERS, FitSettings, known_names, read_settings
from amu_raft.methods import Recipe, get_method, method_names
from amu_raft.methods.recipe import KEYS, TINY
from tests.amu_raft.fit.counting import Counting, CountingSettings


def test_nothing_given_is_the_methods_recipe() -> None:
    found = read_settings(Counting, "RN50", {})
    assert found == FitSettings(CountingSettings(), Counting.recipe, OTHERS)
    assert read_settings(Counting, "tiny", {}).recipe == Counting.recipe.changed(**TINY)


@pytest.mark.parametrize(
    ("short", "key", "value"),
    [
        ("epochs", "OPTIM.MAX_EPOCH", 7),
        ("lr", "OPTIM.LR", 0.25),
        ("views", "TRAIN.VIEWS", "online"),
        ("augmentation", "INPUT.TRANSFORMS", ("normalize",)),
        ("power", "TRAINER.COUNTING.POWER", 3.0),
        ("form", "TRAINER.COUNTING.FORM", "fancy"),
        ("precision", "TRAINER.COUNTING.PREC", "amp"),
        ("layers", "MODEL.ENCODER_LAYERS", "plain"),
        ("store", "FEATURES.STORE", "off"),
        ("final_model", "TEST.FINAL_MODEL", "best_val"),
    ],
)
def test_a_setting_has_a_short_name_and_a_key(short: str, key: str, value: Any) -> None:
    found = read_settings(Counting, "RN50", {short: value})
    assert found == read_settings(Counting, "RN50", {key: value}) != read_settings(Counting, "RN50", {})
    parts = [vars(found.method), vars(found.recipe), found.others]
    assert [part[short] for part in parts if short in part] == [value]


def test_nothing_else_changes() -> None:
    given = {"epochs": 7, "power": 5, "store": "off"}
    found = read_settings(Counting, "RN50", given)
    assert given == {"epochs": 7, "power": 5, "store": "off"} and OTHERS["store"] == ""
    assert found.recipe == Counting.recipe.changed(epochs=7) and found.method == CountingSettings(power=5.0)
    assert found.others == {**OTHERS, "store": "off"}


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("epochs", "7", 7),
        ("lr", "1e-3", 0.001),
        ("lr", "2", 2.0),
        ("views", "4", "4"),
        ("views", 4, "4"),
        ("views", "online", "online"),
        ("optimizer", "adam", "adam"),
        ("crop_scale", "(0.5, 0.75)", (0.5, 0.75)),
        ("crop_scale", [0.5, 0.75], (0.5, 0.75)),
        ("crop_scale", [0.5, 1], (0.5, 1.0)),
        ("augmentation", '["random_flip", "normalize"]', ("random_flip", "normalize")),
    ],
)
def test_words_of_a_command_line_are_read(name: str, word: Any, value: Any) -> None:
    found = getattr(read_settings(Counting, "RN50", {name: word}).recipe, name)
    assert found == value and type(found) is type(value)


def test_a_recipe_sets_settings_of_its_method_which_what_is_given_overrides() -> None:
    class OfItsBackbone(Counting):
        recipes = {"RN50": Recipe(settings={"power": 4.0, "form": "fancy"})}  # noqa: RUF012  nobody changes it

    assert read_settings(OfItsBackbone, "RN50", {}).method == CountingSettings(4.0, "fancy")
    assert read_settings(OfItsBackbone, "RN50", {"power": 1}).method == CountingSettings(1.0, "fancy")
    assert read_settings(OfItsBackbone, "tiny", {}).method == CountingSettings()
    assert OfItsBackbone.recipes["RN50"].settings == {"power": 4.0, "form": "fancy"}


def test_a_method_may_refuse_what_does_not_go_together() -> None:
    seen = []

    class Choosy(Counting):
        @classmethod
        def check(cls, settings: Any, recipe: Recipe, backbone: str) -> None:
            seen.append((settings.power, recipe.epochs, backbone))
            if recipe.epochs > settings.power:
                raise ValueError("epochs beyond power")

    read_settings(Choosy, "RN50", {"epochs": 3, "power": 3})
    with pytest.raises(ValueError, match=r"^epochs beyond power$"):
        read_settings(Choosy, "RN50", {"epochs": 4, "power": 3})
    assert seen == [(3.0, 3, "RN50"), (3.0, 4, "RN50")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epohcs": 3}, "unknown setting 'epohcs'; the nearest known key is 'epochs'"),
        ({"TRAINER.COUNTING.POWRE": 3}, "unknown setting 'TRAINER.COUNTING.POWRE'; the nearest known key is "
         "'TRAINER.COUNTING.POWER'"),
        ({"TRAINER.AMU.POWER": 3}, "unknown setting 'TRAINER.AMU.POWER'"),
        ({"settings": {}}, "unknown setting 'settings'"),
        ({3: 3}, "unknown setting 3"),
        ({"epochs": "many"}, "setting epochs takes a value of type int, got 'many'"),
        ({"epochs": 2.5}, "setting epochs takes a value of type int, got '2.5'"),
        ({"epochs": True}, "setting epochs takes a value of type int, got 'True'"),
        ({"epochs": 0}, "OPTIM.MAX_EPOCH must be at least 1, got 0"),
        ({"batch_size": "0"}, "DATALOADER.TRAIN_X.BATCH_SIZE must be at least 1, got 0"),
        ({"lr": "nan"}, "setting lr takes a value of type float, got 'nan'"),
        ({"lr": float("nan")}, "setting lr must be a finite number, got nan"),
        ({"views": 0}, 'TRAIN.VIEWS must be "online" or a positive integer, got \'0\''),
        ({"crop_scale": 0.5}, "setting crop_scale takes a list, got 0.5"),
        ({"crop_scale": [0.5]}, "setting crop_scale takes two shares of the image, the smaller first, got [0.5]"),
        ({"crop_scale": "(1,.5)"}, "setting crop_scale takes two shares of the image, the smaller first, got (1, 0.5)"),
        ({"crop_scale": (0, 1)}, "setting crop_scale takes two shares of the image, the smaller first, got (0, 1)"),
        ({"crop_scale": (0.5, 2)}, "setting crop_scale takes two shares of the image, the smaller first, got (0.5, 2)"),
        ({"crop_scale": ("a", "b")}, "setting crop_scale takes a value of type float, got 'a'"),
        ({"augmentation": "normalize"}, "setting augmentation takes a list, got 'normalize'"),
        ({"optimizer": "magic"}, "unknown optimizer 'magic'; choose from adamw, adam, sgd"),
        ({"power": "much"}, "setting power takes a value of type float, got 'much'"),
        ({"form": "odd"}, "setting form is 'odd'; choose from plain, fancy"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; choose from fp32, amp, fp16"),
        ({"layers": "rolled"}, "unknown encoder layers 'rolled'; choose from "),
        ({"final_model": "best_test"}, "TEST.FINAL_MODEL cannot be 'best_test', fit has no test images; accepted are "
         "last_step, best_val"),
    ],
)  # fmt: skip
def test_what_is_refused(given: dict[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_settings(Counting, "RN50", given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", method_names())
def test_every_setting_of_every_method_has_one_meaning(method: str) -> None:
    kind = get_method(method)
    found = known_names(kind)
    own = {item.name for item in fields(kind.Settings)}
    assert not own & (KEYS.keys() | OTHERS.keys() | {"prec"})
    assert {item.name for item in fields(Recipe)} == KEYS.keys() | {"settings"}
    meanings = {("method", name) for name in own} | {("recipe", name) for name in KEYS}
    assert set(found.values()) == meanings | {("others", name) for name in OTHERS}
    assert len(found) == 2 * len(own) + 2 * len(KEYS) + len(OTHERS) + len(OTHER_KEYS) + 1


@pytest.mark.parametrize("backbone", ["tiny", "RN50", "RN50x4", "my/clip.pt"])
@pytest.mark.parametrize("method", method_names())
def test_every_recipe_is_accepted(method: str, backbone: str) -> None:
    kind = get_method(method)
    found = read_settings(kind, backbone, {})
    assert found.recipe == kind.recipe_for(backbone)
    keys = {key: value for key, value in found.recipe.keys().items() if value is not None}
    assert read_settings(kind, backbone, keys) == found


@pytest.mark.parametrize("name", method_names())
def test_every_default_can_be_given_as_it_is(name: str) -> None:
    kind = get_method(name)
    defaults = {item.name: item.default for item in fields(kind.Settings)}
    written = {key: value if isinstance(value, str) else str(value) for key, value in defaults.items()}
    for given in (defaults, written):
        assert read_settings(kind, "RN50", given).method == kind.Settings()


def test_numbers_of_numpy() -> None:
    found = read_settings(get_method("TipAdapterF"), "tiny", {"epochs": np.int64(3), "alpha": np.float32(0.5)})
    assert (found.recipe.epochs, found.method.alpha) == (3, 0.5)


@pytest.mark.parametrize("value", [None, True, [], {}])
def test_the_store_is_a_text(value: Any) -> None:
    with pytest.raises(ValueError, match="setting store takes a text, got"):
        read_settings(get_method("GDA"), "tiny", {"store": value})


def test_too_many_signs_are_a_text() -> None:
    with pytest.raises(ValueError, match="alpha takes a value of type float"):
        read_settings(get_method("GDA"), "tiny", {"alpha": "-" * 100000 + "1"})
