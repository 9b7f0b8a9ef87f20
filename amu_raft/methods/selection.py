"""Choosing settings by their accuracy on a few images: a default stands unless another is better beyond chance."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amu_raft.methods.settings import SettingError

STANDARD_ERROR_RULE = (
    "the default stands unless the best is better by more than one standard error of the default's accuracy and by "
    "more than one image; of equally good ones the nearest to the default is taken"
)


def accuracy_percent(logits: Tensor, labels: Tensor) -> float:
    """Return top-1 accuracy of logits (N, C) in percent.

    Raises:
        ValueError: If there is no image.
    """
    if len(labels) == 0:
        raise ValueError("accuracy of no images is undefined")
    return 100.0 * int((logits.argmax(dim=-1) == labels).sum()) / len(labels)


def beyond_chance(accuracies: Tensor, num_images: int, default: Sequence[int]) -> tuple[int, ...]:
    """Return the setting to use, as its place in a grid of accuracies.

    Args:
        accuracies: In percent, one axis for each setting.
        num_images: How many images they were measured on.
        default: Place of the default.

    Returns:
        The default, unless the best accuracy exceeds its own by more than one standard error (of a share of
        ``num_images``) and by more than one image. Then the best; of several the one that differs from the default in
        the fewest settings, then by the fewest steps, then the first.

    Raises:
        ValueError: If there are no images.
    """
    if num_images < 1:
        raise ValueError(f"settings are chosen on at least one image, got {num_images}")
    default = tuple(default)
    share = float(accuracies[default]) / 100
    standard_error = 100 * math.sqrt(share * (1 - share) / num_images)
    best = accuracies.max()
    if float(best - accuracies[default]) <= max(standard_error, 100 / num_images):
        return default
    places = [tuple(place) for place in (accuracies == best).nonzero().tolist()]
    return min(places, key=lambda place: (*_distance(place, default), place))


def _distance(place: Sequence[int], default: Sequence[int]) -> tuple[int, int]:
    steps = [abs(one - other) for one, other in zip(place, default, strict=True)]
    return sum(step > 0 for step in steps), sum(steps)


class Tuning(NamedTuple):
    """What was tried on which images, and what was chosen.

    Attributes:
        axes: Tried values of each setting by name, in the order of the accuracies' axes.
        accuracies: Response surface in percent, one axis for each setting.
        place: The chosen setting's place in it.
        num_images: How many images it was measured on.
        rule: How the choice was made, in words.
    """

    axes: Mapping[str, Sequence[Any]]
    accuracies: Tensor
    place: tuple[int, ...]
    num_images: int
    rule: str

    @property
    def chosen(self) -> dict[str, Any]:
        """The chosen value of each setting."""
        return {name: values[index] for (name, values), index in zip(self.axes.items(), self.place, strict=True)}

    @property
    def accuracy(self) -> float:
        """Accuracy of the chosen setting on the images that it was chosen on, in percent."""
        return float(self.accuracies[self.place])

    def record(self, *, on: str, method: str) -> dict[str, Any]:
        """Return what result.json holds under "tuning"; "images" is how many there were."""
        return {
            "on": on,
            "method": method,
            "axes": {name: list(values) for name, values in self.axes.items()},
            "accuracy": self.accuracies.tolist(),
            "chosen": self.chosen,
            "rule": self.rule,
            "images": self.num_images,
        }


def axis_with(values: Sequence[Any], default: Any) -> list[Any]:
    """Return the values to try of a setting, the default among them, without repetition; numbers in rising order."""
    merged = list(dict.fromkeys([*values, default]))
    return merged if any(isinstance(value, str) for value in merged) else sorted(merged)


def parse_values(settings: Any, name: str, *, low: float = 0.0, high: float = math.inf) -> list[float]:
    """Read a setting that lists numbers, separated by commas.

    Raises:
        SettingError: If one is no number between ``low`` and ``high``, or there is none.
    """
    text = getattr(settings, name)
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        raise SettingError(name, f'is a list of numbers such as "0.5, 1, 2", got {text!r}') from None
    for value in values:
        if not low <= value <= high or not math.isfinite(value):
            raise SettingError(name, f"has {value}; numbers from {low:g} to {high:g} are accepted")
    return values


def surface(axes: Sequence[Sequence[Any]], accuracy_of: Callable[..., float]) -> Tensor:
    """Evaluate a function of one value from each axis on the whole grid, as a float64 tensor."""
    values = [accuracy_of(*setting) for setting in itertools.product(*axes)]
    return torch.tensor(values, dtype=torch.float64).reshape([len(axis) for axis in axes])
