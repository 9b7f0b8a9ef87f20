"""Settings of a fit: a method's own, its recipe's, and the few others, by short names or configuration keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

import numpy as np

from amu_raft.backbones.encoder_layers import check_encoder_layers
from amu_raft.backbones.precision import Precision
from amu_raft.fit.training_loop import check_optimizer
from amu_raft.methods import Method, Recipe
from amu_raft.methods.recipe import KEYS
from amu_raft.methods.settings import SettingError, settings_of, typed
from amu_raft.plain_values import as_literal

OTHERS = {
    "precision": "fp32",  # fp32, amp, fp16
    "layers": "folded",  # of residual encoders; "plain" as released
    "store": "",  # folder of the feature store; "" is the usual one, "off" none
    "final_model": "last_step",  # or best_val
}
OTHER_KEYS = {"MODEL.ENCODER_LAYERS": "layers", "FEATURES.STORE": "store", "TEST.FINAL_MODEL": "final_model"}


@dataclass(frozen=True)
class FitSettings:
    """How a method is fitted.

    Attributes:
        method: The method's settings.
        recipe: How it is trained.
        others: The values of ``OTHERS``.
    """

    method: Any
    recipe: Recipe
    others: Mapping[str, str] = field(default_factory=lambda: dict(OTHERS))


def read_settings(kind: type[Method], backbone: str, given: Mapping[str, Any]) -> FitSettings:
    """Put settings in place of a method's recipe for a backbone, and check them.

    Args:
        kind: The method.
        backbone: Name of the CLIP.
        given: By short name ("epochs", "fusion_alpha", "precision") or configuration key ("OPTIM.MAX_EPOCH").

    Raises:
        ValueError: At an unknown name, with the nearest known one, or a value that is not accepted.
    """
    recipe = kind.recipe_for(backbone)
    names = known_names(kind)
    texts = {item.name for item in fields(kind.Settings) if isinstance(item.default, str)}
    parts: dict[str, dict[str, Any]] = {"method": dict(recipe.settings), "recipe": {}, "others": dict(OTHERS)}
    for key, value in given.items():
        if key not in names:
            near = get_close_matches(str(key), names, n=1, cutoff=0.0)[0]
            raise ValueError(f"unknown setting {key!r}; the nearest known key is {near!r}")
        where, name = names[str(key)]
        # "0.1, 1" is a text where a text is wanted; numpy's numbers are what a search over np.arange gives.
        plain = value.item() if isinstance(value, np.generic) else value
        parts[where][name] = plain if where == "method" and name in texts else as_literal(plain)
    try:
        defaults = {item.name: getattr(recipe, item.name) for item in fields(recipe)}
        changed = {name: _recipe_value(name, value, defaults[name]) for name, value in parts["recipe"].items()}
        recipe = recipe.changed(**changed)
        settings = settings_of(kind.Settings, parts["method"])
        kind.check(settings, recipe, backbone)
        if kind.learns == "gradient":
            check_optimizer(recipe.optimizer)
    except SettingError as error:
        raise ValueError(f"setting {error.name} {error.reason}") from error
    return FitSettings(settings, recipe, _checked(parts["others"]))


def known_names(kind: type[Method]) -> dict[str, tuple[str, str]]:
    """Return every name of a setting, with the part that it belongs to and its name there."""
    node = f"TRAINER.{kind.__name__.upper()}"
    names = {name: ("others", name) for name in OTHERS}
    names |= {key: ("others", name) for key, name in OTHER_KEYS.items()}
    names |= {f"{node}.PREC": ("others", "precision")}
    for name, key in KEYS.items():
        names |= {name: ("recipe", name), key: ("recipe", name)}
    for item in fields(kind.Settings):
        names |= {item.name: ("method", item.name), f"{node}.{item.name.upper()}": ("method", item.name)}
    return names


def _recipe_value(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, str):
        return str(value)
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)):
            raise SettingError(name, f"takes a list, got {value!r}")
        return _crop_scale(value) if name == "crop_scale" else tuple(value)
    return typed(name, value, default)


def _crop_scale(value: Sequence[Any]) -> tuple[float, ...]:
    shares = tuple(typed("crop_scale", share, 1.0) for share in value)
    if len(shares) != 2 or not 0 < shares[0] <= shares[1] <= 1:
        raise SettingError("crop_scale", f"takes two shares of the image, the smaller first, got {value!r}")
    return shares


def _checked(others: Mapping[str, Any]) -> dict[str, str]:
    if wrong := [name for name, value in others.items() if not isinstance(value, str)]:
        raise ValueError(f"setting {wrong[0]} takes a text, got {str(others[wrong[0]])[:40]!r}")
    texts = dict(others)
    Precision(texts["precision"])
    check_encoder_layers(texts["layers"])
    if texts["final_model"] not in ("last_step", "best_val"):
        raise ValueError(
            f"TEST.FINAL_MODEL cannot be {texts['final_model']!r}, fit has no test images; "
            "accepted are last_step, best_val"
        )
    return texts
