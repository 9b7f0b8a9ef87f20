from dataclasses import fields
from typing import Any

import pytest

from amu_raft.methods import Recipe, get_method, method_names
from amu_raft.methods.recipe import KEYS
from dassl.config import get_cfg_default
from experiments.runs.tree import set_key
from trainers.base.settings import add_shared_keys

RECIPES = [
    (name, get_method(name).recipe_for(backbone))
    for name in method_names()
    for backbone in ("RN50", "tiny", *get_method(name).recipes)
]


def test_every_value_but_the_methods_own_has_a_key_of_the_configuration() -> None:
    assert {item.name for item in fields(Recipe)} - KEYS.keys() == {"settings"}
    cfg = get_cfg_default()
    add_shared_keys(cfg)
    for key, value in Recipe().keys().items():
        set_key(cfg, key, value, source="a recipe")  # refuses unknown keys and values of another type


def test_keys_and_changes() -> None:
    recipe = Recipe(lr=0.5, settings={"alpha": 1})
    other = recipe.changed(epochs=3)
    assert (other.lr, other.epochs, recipe.epochs, other.settings) == (0.5, 3, 50, {"alpha": 1})
    assert other.keys()["OPTIM.LR"] == 0.5 and other.keys()["OPTIM.MAX_EPOCH"] == 3
    assert "alpha" not in str(other.keys())


def test_views() -> None:
    assert Recipe(views="3").num_views == 3 and Recipe(views="online").num_views is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "OPTIM.MAX_EPOCH must be at least 1, got 0"),
        ({"batch_size": 0}, "DATALOADER.TRAIN_X.BATCH_SIZE must be at least 1, got 0"),
        ({"threads": -1}, "TRAIN.NUM_THREADS must be at least 0, got -1"),
        ({"lr": -0.1}, "OPTIM.LR must be at least 0 and finite, got -0.1"),
        ({"momentum": float("nan")}, "OPTIM.MOMENTUM must be at least 0 and finite, got nan"),
        ({"views": "0"}, "TRAIN.VIEWS must be"),
        ({"views": "many"}, "TRAIN.VIEWS must be"),
    ],
)
def test_numbers_out_of_range(values: dict[str, Any], message: str) -> None:
    for make in (lambda: Recipe(**values), lambda: Recipe().changed(**values)):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize(("name", "recipe"), RECIPES, ids=[name for name, _ in RECIPES])
def test_the_settings_that_go_with_a_recipe_are_the_methods(name: str, recipe: Recipe) -> None:
    get_method(name).Settings(**recipe.settings)
