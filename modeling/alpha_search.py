"""RAFT's alpha: how far predictions move from frozen CLIP (0) to the tuned pooling (1)."""

from typing import NamedTuple

import torch
from torch import Tensor

ALPHA_RULES = ("one_standard_error", "first_best")


class AlphaSearch(NamedTuple):
    """Grid of alphas, accuracy of each in percent, and the chosen one."""

    alphas: Tensor
    accuracies: Tensor
    best_alpha: float

    @property
    def best_accuracy(self) -> float:
        """Accuracy at the chosen alpha, in percent."""
        return float(self.accuracies[(self.alphas - self.best_alpha).abs().argmin()])


def mix_logits(zero_shot_logits: Tensor, region_logits: Tensor, *, fusion_alpha: float) -> Tensor:
    """Return alpha * region + (1 - alpha) * zero-shot logits, (N, C)."""
    return fusion_alpha * region_logits + (1 - fusion_alpha) * zero_shot_logits


def accuracy_percent(logits: Tensor, labels: Tensor) -> float:
    """Return top-1 accuracy of logits (N, C) in percent.

    Raises:
        ValueError: If there is no image.
    """
    if len(labels) == 0:
        raise ValueError("accuracy of no images is undefined")
    return 100.0 * int((logits.argmax(dim=-1) == labels).sum()) / len(labels)


def search_alpha(
    zero_shot_logits: Tensor,
    region_logits: Tensor,
    labels: Tensor,
    *,
    low: float = 0.0,
    high: float = 1.0,
    steps: int = 50,
    rule: str = "one_standard_error",
) -> AlphaSearch:
    """Choose alpha on a grid by accuracy on validation images.

    Args:
        zero_shot_logits: (N, C) of validation images.
        region_logits: (N, C) of the same.
        labels: (N,).
        low: First alpha of the grid.
        high: Last alpha.
        steps: Number of intervals; the grid has one point more.
        rule: "first_best" is the released one: the first alpha with the highest accuracy, which falls back to
            zero-shot on ties. "one_standard_error" keeps the last alpha, the tuned pooling, unless another is better
            by more than one standard error of its accuracy, and then takes the best, nearest to the last on ties:
            a handful of validation images cannot overrule training by chance.

    Raises:
        ValueError: If the rule is unknown, the grid empty or there are no images.

    Source:
        RAFT (ICME 2024), inference; the released grid is 0, 0.02 .. 1.
    """
    if rule not in ALPHA_RULES:
        raise ValueError(f"unknown alpha rule {rule!r}; choose from {', '.join(ALPHA_RULES)}")
    if steps < 1:
        raise ValueError(f"the alpha grid needs at least one step, got {steps}")
    alphas = torch.tensor([i * (high - low) / steps + low for i in range(steps + 1)], dtype=torch.float64)
    accuracies = torch.tensor(
        [
            accuracy_percent(mix_logits(zero_shot_logits, region_logits, fusion_alpha=float(alpha)), labels)
            for alpha in alphas
        ],
        dtype=torch.float64,
    )
    index = _first_best(accuracies) if rule == "first_best" else _beyond_chance(accuracies, len(labels))
    return AlphaSearch(alphas, accuracies, float(alphas[index]))


def _first_best(accuracies: Tensor) -> int:
    return int((accuracies == accuracies.max()).nonzero()[0])


def _beyond_chance(accuracies: Tensor, num_images: int) -> int:
    last = len(accuracies) - 1
    share = float(accuracies[last]) / 100
    standard_error = 100 * (share * (1 - share) / num_images) ** 0.5
    if float(accuracies.max() - accuracies[last]) <= max(standard_error, 100 / num_images):
        return last
    return int((accuracies == accuracies.max()).nonzero()[-1])
