from dataclasses import fields, replace
from typing import Any

import pytest
from yacs.config import CfgNode

from amu_raft.methods import get_method, method_names
from dassl.config import get_cfg_default
from experiments.runs.tree import set_key
from trainers.base.settings import (
    add_shared_keys,
    check_settings,
    key_of,
    method_settings,
    node_of,
    recipe_keys,
    recipe_of,
)


def cfg_of(name: str, backbone: str = "tiny", **overrides: Any) -> CfgNode:
    """Return a configuration by a method's recipe alone; "__" stands for "." in keys."""
    cfg = get_cfg_default()
    add_shared_keys(cfg)
    cfg.TRAINER[name.upper()] = node_of(get_method(name))
    keys = recipe_keys(get_method(name), backbone) | {key.replace("__", "."): value for key, value in overrides.items()}
    for key, value in keys.items():
        set_key(cfg, key, value, source="test")
    return cfg


@pytest.mark.parametrize("name", method_names())
def test_a_node_holds_the_settings_in_capitals(name: str) -> None:
    kind = get_method(name)
    node = node_of(kind)
    assert node.pop("PREC") == "fp32" and node.pop("PROMPTS") == "templates"
    assert node == {item.name.upper(): item.default for item in fields(kind.Settings)}
    assert method_settings(kind, node_of(kind)) == kind.Settings()


@pytest.mark.parametrize("backbone", ["tiny", "RN50x4"])
@pytest.mark.parametrize("name", method_names())
def test_a_recipe_goes_into_the_configuration_and_comes_out_again(name: str, backbone: str) -> None:
    kind = get_method(name)
    recipe, cfg = kind.recipe_for(backbone), cfg_of(name, backbone)
    assert replace(recipe_of(cfg), settings=recipe.settings) == recipe
    settings, found = check_settings(cfg, kind)
    assert settings == replace(kind.Settings(), **recipe.settings) and found == recipe_of(cfg)
    side = {"tiny": 64, "RN50x4": 288}[backbone]
    assert tuple(cfg.INPUT.SIZE) == (side, side) and backbone == cfg.MODEL.BACKBONE.NAME


def test_a_refused_setting_is_named_by_its_key() -> None:
    assert key_of(get_method("ZeroshotCLIP"), "alpha") == "TRAINER.ZEROSHOTCLIP.ALPHA"
    node = node_of(get_method("AMU"))
    node.INIT = "zeros"
    with pytest.raises(ValueError, match=r"^TRAINER\.AMU\.INIT is 'zeros'; choose from class_mean, released, random$"):
        method_settings(get_method("AMU"), node)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("AMU", {"TRAINER__AMU__UNCERTAINTY": "kurt"}, r"TRAINER\.AMU\.UNCERTAINTY is 'kurt'; choose from"),
        ("AMU", {"TRAINER__AMU__TUNE_POWERS": "-1"}, r"TRAINER\.AMU\.TUNE_POWERS has -1\.0; numbers from 0 to inf are"),
        ("RAFT", {"OPTIM__WARMUP_EPOCH": 60}, r"OPTIM\.WARMUP_EPOCH 60 is longer than OPTIM\.MAX_EPOCH 50"),
        ("RAFT", {"MODEL__BACKBONE__NAME": "ViT-B/16"}, "backbone 'ViT-B/16' has no attention pooling"),
        ("RAFT", {"OPTIM__MAX_EPOCH": 0}, r"OPTIM\.MAX_EPOCH must be at least 1, got 0"),
        ("ZeroshotCLIP", {"TRAIN__NUM_THREADS": -1}, r"TRAIN\.NUM_THREADS must be at least 0, got -1"),
        ("ZeroshotCLIP", {"INPUT__NO_TRANSFORM": True}, r"INPUT\.NO_TRANSFORM must be False and .*K_TRANSFORMS 1"),
        ("ZeroshotCLIP", {"DATALOADER__K_TRANSFORMS": 2}, r"INPUT\.NO_TRANSFORM must be False and .*K_TRANSFORMS 1"),
        ("ZeroshotCLIP", {"TEST__SPLIT": "train"}, r"unknown TEST\.SPLIT 'train'; choose from val, test"),
        (
            "ZeroshotCLIP",
            {"MODEL__ENCODER_LAYERS": "fast"},
            r"unknown MODEL\.ENCODER_LAYERS 'fast'; choose from folded",
        ),
        ("ZeroshotCLIP", {"FEATURES__LIMIT": "plenty"}, r"FEATURES\.LIMIT: 'plenty' is no size"),
        ("ZeroshotCLIP", {"TRAINER__ZEROSHOTCLIP__PROMPTS": "gpt4"}, "unknown PROMPTS 'gpt4'"),
    ],
)
def test_what_cannot_be_honoured(name: str, overrides: dict[str, Any], message: str) -> None:
    cfg = cfg_of(name, **overrides)
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        check_settings(cfg, get_method(name))
    assert "\n" not in str(caught.value)
