"""AMU's fusion after training: alpha, uncertainty kind and power compared on cached logits, without any training."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amu_raft.methods.amu.fusion import fuse_logits
from amu_raft.methods.selection import STANDARD_ERROR_RULE, Tuning, accuracy_percent, axis_with, beyond_chance, surface


class FusionSettings(NamedTuple):
    """How auxiliary logits are added: alpha, uncertainty kind and power, named as in the configuration."""

    fusion_alpha: float
    uncertainty: str
    uncertainty_power: float


class FusionGrid(NamedTuple):
    """Values to try of each fusion setting; the defaults are among them."""

    fusion_alpha: list[float]
    uncertainty: list[str]
    uncertainty_power: list[float]

    def place_of(self, settings: FusionSettings) -> tuple[int, ...]:
        """Return where settings stand in the grid."""
        return (
            self.fusion_alpha.index(settings.fusion_alpha),
            self.uncertainty.index(settings.uncertainty),
            self.uncertainty_power.index(settings.uncertainty_power),
        )


def fusion_grid(
    default: FusionSettings, *, alpha_factors: Sequence[float], kinds: Sequence[str], powers: Sequence[float]
) -> FusionGrid:
    """Return the grid around the defaults.

    Args:
        default: The configured settings.
        alpha_factors: Alphas to try, as multiples of the default one: what alpha means depends on the size of the
            uncertainty weight, so that absolute values suit one configuration only. 0 is zero-shot CLIP.
        kinds: Uncertainty kinds.
        powers: Exponents.
    """
    alphas = [round(factor * default.fusion_alpha, 6) for factor in alpha_factors]
    return FusionGrid(
        axis_with(alphas, default.fusion_alpha),
        axis_with(kinds, default.uncertainty),
        axis_with(powers, default.uncertainty_power),
    )


def fusion_accuracies(zero_shot_logits: Tensor, aux_logits: Tensor, labels: Tensor, grid: FusionGrid) -> Tensor:
    """Return the accuracy of every fusion on the grid.

    Args:
        zero_shot_logits: s0, (N, C).
        aux_logits: s_aux, (N, C).
        labels: (N,).
        grid: A alphas, K kinds, P powers.

    Returns:
        Accuracy in percent, (A, K, P).
    """

    def accuracy_of(alpha: float, kind: str, power: float) -> float:
        fused = fuse_logits(zero_shot_logits, aux_logits, fusion_alpha=alpha, kind=kind, power=power)
        return accuracy_percent(fused, labels)

    return surface(grid, accuracy_of)


def tune_fusion(grid: FusionGrid, accuracies: Tensor, num_images: int, default: FusionSettings) -> Tuning:
    """Choose the fusion settings from accuracies (A, K, P)."""
    place = beyond_chance(accuracies, num_images, grid.place_of(default))
    return Tuning(grid._asdict(), accuracies, place, num_images, STANDARD_ERROR_RULE)


def tune_loss_weight(values: Sequence[float], accuracies: Sequence[float], num_images: int, default: float) -> float:
    """Choose lambda from the accuracies of models trained with each value, in percent, by the same rule."""
    table = torch.tensor(accuracies, dtype=torch.float64)
    return values[beyond_chance(table, num_images, (list(values).index(default),))[0]]


def with_loss_weights(tuning: Tuning, values: Sequence[float], surfaces: Sequence[Tensor], chosen: float) -> Tuning:
    """Put lambda in front of a fusion tuning: the surface of every value, of which one was chosen.

    Args:
        tuning: Of the model that was trained with the chosen value.
        values: Tried values of lambda, L.
        surfaces: Accuracies (A, K, P) of the model trained with each.
        chosen: The chosen one.
    """
    axes: dict[str, Sequence[Any]] = {"loss_lambda": values, **tuning.axes}
    index = list(values).index(chosen)
    stacked = [tuning.accuracies if number == index else surface for number, surface in enumerate(surfaces)]
    rule = f"loss_lambda first, at the default fusion, then the others for the model trained with it; {tuning.rule}"
    return Tuning(axes, torch.stack(stacked), (index, *tuning.place), tuning.num_images, rule)
