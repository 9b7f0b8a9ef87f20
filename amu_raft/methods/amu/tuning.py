"""AMU's choices on validation images: alpha, uncertainty kind and power on logits, lambda by training."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amu_raft.methods.amu.fusion import UNCERTAINTY_KINDS, fuse_logits
from amu_raft.methods.given import Trials, Validation
from amu_raft.methods.selection import (
    STANDARD_ERROR_RULE,
    Tuning,
    accuracy_percent,
    axis_with,
    beyond_chance,
    parse_values,
    surface,
)
from amu_raft.methods.settings import SettingError


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


def tune_fusion(settings: Any, zero_shot_logits: Tensor, aux_logits: Tensor, labels: Tensor) -> Tuning:
    """Choose alpha, kind and power from logits (N, C) of N validation images and their labels."""
    grid, default = read_grid(settings), configured_fusion(settings)
    accuracies = fusion_accuracies(zero_shot_logits, aux_logits, labels, grid)
    place = beyond_chance(accuracies, len(labels), grid.place_of(default))
    return Tuning(grid._asdict(), accuracies, place, len(labels), STANDARD_ERROR_RULE)


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


def configured_fusion(settings: Any) -> FusionSettings:
    """Return the fusion that training uses, and the default of the choice."""
    return FusionSettings(settings.fusion_alpha, settings.uncertainty, settings.uncertainty_power)


def check_tuning(settings: Any, num_views: int | None) -> None:
    """Refuse what cannot be tuned.

    Args:
        settings: AMU's.
        num_views: Cached views; None for fresh augmentation in every epoch.

    Raises:
        ValueError: Naming the setting and what is accepted.
    """
    if settings.tune == "all" and num_views is None:
        reason = "trains once for each lambda, from cached features; set TRAIN.VIEWS to a number of views"
        raise SettingError("tune", f'"all" {reason}, or choose "post_hoc"')
    read_grid(settings)
    read_loss_weights(settings)


def read_grid(settings: Any) -> FusionGrid:
    """Return the values of alpha, kind and power to try, around the configured ones.

    Raises:
        SettingError: If a kind is unknown or a value no number of its range.
    """
    kinds = [word.strip() for word in settings.tune_uncertainties.split(",")]
    for kind in kinds:
        if kind not in UNCERTAINTY_KINDS:
            raise SettingError("tune_uncertainties", f"has {kind!r}; accepted are {', '.join(UNCERTAINTY_KINDS)}")
    return fusion_grid(
        configured_fusion(settings),
        alpha_factors=parse_values(settings, "tune_alphas"),
        kinds=kinds,
        powers=parse_values(settings, "tune_powers"),
    )


def read_loss_weights(settings: Any) -> list[float]:
    """Return the values of lambda to try, the configured one among them.

    Raises:
        SettingError: If one is no number from 0 to 1.
    """
    return axis_with(parse_values(settings, "tune_lambdas", high=1.0), settings.loss_lambda)


class LambdaTrials:
    """Compare values of lambda by training with each; the training that follows goes through the chosen one's steps.

    Attributes:
        values: Tried values; empty if none was tried.
        surfaces: Accuracies (A, K, P) of the model trained with each.
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self.surfaces: list[Tensor] = []

    def choose(self, method: Any, trials: Trials, validation: Validation) -> str:
        """Set the method's lambda to the one that is chosen, and return a line on it."""
        grid, default = read_grid(method.settings), configured_fusion(method.settings)
        self.values, self.surfaces = read_loss_weights(method.settings), []
        for value in self.values:
            method.loss_lambda = value
            trials.train()
            branches, labels = validation()
            self.surfaces.append(fusion_accuracies(branches["zero_shot"], branches["aux"], labels, grid))
            trials.reset()
        accuracies = [float(found[grid.place_of(default)]) for found in self.surfaces]
        method.loss_lambda = tune_loss_weight(self.values, accuracies, len(labels), method.settings.loss_lambda)
        tried = ", ".join(f"{value:g}: {found:.2f}%" for value, found in zip(self.values, accuracies, strict=True))
        return f"lambda {method.loss_lambda:g} chosen on {len(labels)} images ({tried})"

    def put_before(self, tuning: Tuning, chosen: float) -> Tuning:
        """Put lambda in front of a fusion tuning, if it was tried."""
        return with_loss_weights(tuning, self.values, self.surfaces, chosen) if self.surfaces else tuning
