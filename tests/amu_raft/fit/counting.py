"""A method whose training is told by hand, and pictures that it is fitted to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from amu_raft.fit.fitting import Fitting, Given
from amu_raft.fit.settings import read_settings
from amu_raft.methods import Branches, Features, Loss, Method, MethodSettings, Recipe, Task, one_of

NAMES = ["zero", "one", "six"]  # the tiny CLIP knows these words, others are all the same to it
COLOURS = ((250, 20, 20), (20, 250, 20), (20, 20, 250))


@dataclass(frozen=True)
class CountingSettings(MethodSettings):
    power: float = 2.0
    form: str = "plain"

    def __post_init__(self) -> None:
        one_of(self, "form", ("plain", "fancy"))


class Counting(Method):
    """It says of every picture the class whose number is the count of its steps, which nothing else decides."""

    Settings = CountingSettings
    recipe = Recipe(optimizer="sgd", lr=1.0, weight_decay=0.0, momentum=0.0, epochs=2, batch_size=99, views="1")

    def build(self, task: Task) -> None:
        self.steps = nn.Parameter(torch.zeros(1))

    def rates(self, recipe: Recipe, steps_per_epoch: int) -> list[float]:
        return [recipe.lr] * recipe.epochs * steps_per_epoch

    def branches(self, features: Features) -> Branches:
        zero_shot = self.zero_shot(features)
        said = torch.zeros_like(zero_shot)
        said[:, round(self.steps.item()) % self.num_classes] = 1.0
        return {"zero_shot": zero_shot, "adapted": said}

    def loss(self, features: Features, labels: torch.Tensor) -> Loss:
        return Loss(-self.steps.sum(), self.branches(features)["adapted"])


def squares(numbers: list[int]) -> list[np.ndarray[Any, Any]]:
    """Return a picture in the colour of each class, no two alike."""
    found = [np.full((40, 40, 3), COLOURS[number], np.uint8) for number in numbers]
    for place, picture in enumerate(found):
        picture[place, :] = 128
    return found


def given(*numbers: int, **more: Any) -> Given:
    return Given(squares([*numbers]), [*numbers], **more)


def fitting(kind: type[Method] = Counting, *, backbone: str = "tiny", **parts: Any) -> Fitting:
    """Return what is fitted to what; settings are given by name, everything else as ``Fitting`` has it."""
    usual: dict[str, Any] = {
        "training": given(0, 1, 2, 0, 1, 2),
        "validation": None,
        "names": NAMES,
        "keys": ["a", "b", "c"],
        "prompts": [[f"a photo of a {name}."] for name in NAMES],
        "seed": 3,
        "weights": None,
        "device": torch.device("cpu"),
        "data": {"dataset_name": "by hand"},
        "say": lambda line: None,
    }
    settings = read_settings(kind, backbone, parts.pop("settings", {}))
    return Fitting(kind=kind, settings=settings, backbone=backbone, **{**usual, **parts})
