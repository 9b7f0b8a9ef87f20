"""Two numbers of a method chosen on validation images by looking at a whole grid."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from amu_raft.methods.selection import STANDARD_ERROR_RULE, Tuning, axis_with, beyond_chance

RULES = {"one_standard_error": STANDARD_ERROR_RULE, "first_best": "the first of those with the highest accuracy"}
TUNE_CHOICES = ("off", "post_hoc", "kept")


def even_steps(scale: float, steps: int, *, low: float = 0.1) -> list[float]:
    """Return ``steps`` numbers from ``low`` towards ``scale``, which is not among them.

    Source:
        Tip-Adapter (ECCV 2022), released search.
    """
    return [low + index * (scale - low) / steps for index in range(steps)]


def accuracy_grid(
    logits_of: Callable[[float], Callable[[float], Tensor]], axes: Sequence[Sequence[float]], labels: Tensor
) -> Tensor:
    """Return the accuracy in percent at every point of a grid, (outer, inner) in float64.

    Args:
        logits_of: Given a value of the outer axis, returns what gives the logits (N, C) at one of the inner axis.
        axes: Values of the outer axis, and of the inner one.
        labels: (N,).
    """
    rows = []
    for outer in axes[0]:
        at = logits_of(outer)
        rows.append(torch.stack([(at(inner).argmax(dim=1) == labels).sum() for inner in axes[1]]))
    return 100.0 * torch.stack(rows).double().cpu() / len(labels)


def first_best(accuracies: Tensor) -> tuple[int, ...] | None:
    """Return the place of the first highest accuracy, the last axis running fastest; None if nothing is ever right."""
    if not bool((accuracies > 0).any()):
        return None
    return tuple(int(index) for index in (accuracies == accuracies.max()).nonzero()[0])


def choose_on_grid(
    names: Sequence[str],
    axes: Sequence[Sequence[float]],
    defaults: Sequence[float],
    accuracies_of: Callable[[Sequence[Sequence[float]]], Tensor],
    num_images: int,
    rule: str,
) -> Tuning | None:
    """Choose one value of each axis; None if nothing is ever right, so that the configured values stand.

    Args:
        names: Settings, in the order of the axes.
        axes: Values to try; by "one_standard_error" the defaults are added to them.
        defaults: Configured values, which that rule keeps unless others are better.
        accuracies_of: Returns the accuracy of every combination, in percent.
        num_images: How many images they are measured on.
        rule: One of ``RULES``.
    """
    if rule == "first_best":
        accuracies = accuracies_of(axes)
        place = first_best(accuracies)
    else:
        axes = [axis_with(values, default) for values, default in zip(axes, defaults, strict=True)]
        accuracies = accuracies_of(axes)
        configured = tuple(values.index(default) for values, default in zip(axes, defaults, strict=True))
        place = beyond_chance(accuracies, num_images, configured)
    if place is None:
        return None
    return Tuning(dict(zip(names, axes, strict=True)), accuracies, place, num_images, RULES[rule])
