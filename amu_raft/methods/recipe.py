"""How a method is trained: optimiser, schedule, views. The same values are configuration keys of the toolbox."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from amu_raft.features.views import parse_views

# The configuration key of each value, by which trainers and settings of the classifier name it.
KEYS = {
    "optimizer": "OPTIM.NAME",
    "lr": "OPTIM.LR",
    "weight_decay": "OPTIM.WEIGHT_DECAY",
    "eps": "OPTIM.ADAM_EPS",
    "momentum": "OPTIM.MOMENTUM",
    "epochs": "OPTIM.MAX_EPOCH",
    "warmup_epochs": "OPTIM.WARMUP_EPOCH",
    "batch_size": "DATALOADER.TRAIN_X.BATCH_SIZE",
    "views": "TRAIN.VIEWS",
    "threads": "TRAIN.NUM_THREADS",
    "augmentation": "INPUT.TRANSFORMS",
    "crop_scale": "INPUT.RRCROP_SCALE",
}


# What any recipe becomes on the bundled tiny encoders: one thread is fastest, and a mirrored digit is another sign.
TINY: dict[str, Any] = {
    "threads": 1,
    "augmentation": ("random_resized_crop", "normalize"),
    "crop_scale": (0.8, 1.0),
}


@dataclass(frozen=True)
class Recipe:
    """What training needs beside the method's own settings; methods without training use the views alone.

    Attributes:
        optimizer: Name that the toolbox has for it: adamw, adam, sgd.
        lr: Highest learning rate.
        weight_decay: Per unit of rate.
        eps: Of Adam and AdamW.
        momentum: Of SGD.
        epochs: Passes over the training images.
        warmup_epochs: Of them, with a rising rate, where the method's schedule has that.
        batch_size: Images in a step.
        views: Augmented views of each image that are encoded once and taken in turn, or "online" for fresh ones.
        threads: CPU threads of torch; 0 is one per core.
        augmentation: Names of the toolbox's transforms of training images.
        crop_scale: Area of a random crop, as shares of the image.
        settings: Values of the method's settings that belong to these; names as in its settings.

    Raises:
        ValueError: If a number is out of its range.
    """

    optimizer: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.01
    eps: float = 1e-4
    momentum: float = 0.9
    epochs: int = 50
    warmup_epochs: int = 0
    batch_size: int = 32
    views: str = "8"
    threads: int = 0
    augmentation: tuple[str, ...] = ("random_resized_crop", "random_flip", "normalize")
    crop_scale: tuple[float, float] = (0.5, 1.0)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("threads", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{KEYS[name]} must be at least {least}, got {getattr(self, name)}")
        for name in ("lr", "weight_decay", "eps", "momentum"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{KEYS[name]} must be at least 0 and finite, got {getattr(self, name)}")
        parse_views(self.views)

    @property
    def num_views(self) -> int | None:
        """Number of cached views; None for fresh augmentation in every epoch."""
        return parse_views(self.views)

    def changed(self, **values: Any) -> "Recipe":
        """Return another recipe with some values in place of these."""
        return replace(self, **values)

    def keys(self) -> dict[str, Any]:
        """Return the values by configuration key, the method's own settings left out."""
        return {KEYS[item.name]: getattr(self, item.name) for item in fields(self) if item.name in KEYS}
