"""Which settings AMU chooses on validation images, and the configuration keys that say so."""

import copy
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from amu_raft.methods.amu.fusion import UNCERTAINTY_KINDS
from amu_raft.methods.amu.tuning import (
    FusionGrid,
    FusionSettings,
    fusion_accuracies,
    fusion_grid,
    tune_fusion,
    tune_loss_weight,
    with_loss_weights,
)
from amu_raft.methods.selection import Tuning, axis_with, parse_values

# "kept" stands in the settings of an evaluation: they are those that were chosen for the model.
TUNE_CHOICES = ("off", "post_hoc", "all", "kept")


def add_tuning_keys(node: CfgNode) -> None:
    """Attach the keys; lists are text, numbers separated by commas."""
    # off; post_hoc: alpha, kind and power from logits, without training; all: lambda too, by training with each value.
    node.TUNE = "post_hoc"
    node.TUNE_ALPHAS = "0.25, 0.5, 0.75, 1, 1.5, 2, 3"  # multiples of FUSION_ALPHA
    node.TUNE_UNCERTAINTIES = "kurtosis, none, entropy, max"
    node.TUNE_POWERS = "0.2, 0.4, 0.8"
    node.TUNE_LAMBDAS = "0.15, 0.35, 0.6, 0.85"


def configured_fusion(settings: CfgNode) -> FusionSettings:
    """Return the fusion that training uses, and the default of the choice."""
    return FusionSettings(settings.FUSION_ALPHA, settings.UNCERTAINTY, settings.UNCERTAINTY_POWER)


def check_tuning(settings: CfgNode, num_views: int | None) -> None:
    """Refuse what cannot be tuned, before anything is loaded.

    Args:
        settings: TRAINER.AMU.
        num_views: Cached views; None for fresh augmentation in every epoch.

    Raises:
        ValueError: Naming the key and what is accepted.
    """
    if settings.TUNE not in TUNE_CHOICES:
        raise ValueError(f"unknown TRAINER.AMU.TUNE {settings.TUNE!r}; choose from {', '.join(TUNE_CHOICES)}")
    if settings.TUNE == "all" and num_views is None:
        raise ValueError(
            "TRAINER.AMU.TUNE all trains once for each lambda, from cached features; "
            "set TRAIN.VIEWS to a number of views, or TUNE to post_hoc"
        )
    read_grid(settings)
    read_loss_weights(settings)


def read_grid(settings: CfgNode) -> FusionGrid:
    """Return the values of alpha, kind and power to try, around the configured ones.

    Raises:
        ValueError: If a kind is unknown or a value no number of its range.
    """
    kinds = [word.strip() for word in settings.TUNE_UNCERTAINTIES.split(",")]
    for kind in kinds:
        if kind not in UNCERTAINTY_KINDS:
            accepted = ", ".join(UNCERTAINTY_KINDS)
            raise ValueError(f"TRAINER.AMU.TUNE_UNCERTAINTIES has {kind!r}; accepted are {accepted}")
    return fusion_grid(
        configured_fusion(settings),
        alpha_factors=parse_values(settings.TUNE_ALPHAS, key="TRAINER.AMU.TUNE_ALPHAS"),
        kinds=kinds,
        powers=parse_values(settings.TUNE_POWERS, key="TRAINER.AMU.TUNE_POWERS"),
    )


def read_loss_weights(settings: CfgNode) -> list[float]:
    """Return the values of lambda to try, the configured one among them.

    Raises:
        ValueError: If one is no number from 0 to 1.
    """
    values = parse_values(settings.TUNE_LAMBDAS, key="TRAINER.AMU.TUNE_LAMBDAS", high=1.0)
    return axis_with(values, settings.LOSS_LAMBDA)


class AMUTuner:
    """Make AMU's choices on the images that the trainer may choose on.

    Args:
        trainer: The AMU trainer; its configured fusion is what the loss uses throughout, and the default of the choice.

    Attributes:
        loss_weights: Tried values of lambda; empty if none was tried.
        surfaces: Accuracies (A, K, P) of the model trained with each.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.loss_weights: list[float] = []
        self.surfaces: list[Tensor] = []

    def choose_loss_weight(self) -> float:
        """Train with each lambda from the present start, choose one, and put everything back to the start.

        The training that follows is the usual one, so that it is saved, resumed and evaluated like any other. It goes
        through the same steps as the trial with the chosen value.

        Returns:
            The chosen lambda; the configured one if TUNE does not ask for it or there is nothing to choose on.
        """
        trainer, configured = self.trainer, float(self.trainer.settings.LOSS_LAMBDA)
        if trainer.settings.TUNE != "all" or trainer.selection_images is None:
            return configured
        grid = read_grid(trainer.settings)
        self.loss_weights, self.surfaces = read_loss_weights(trainer.settings), []
        parts = (trainer.adapter, trainer.optim, trainer.sched, trainer.scaler)
        start = [copy.deepcopy(part.state_dict()) for part in parts]
        for value in self.loss_weights:
            self._train(value)
            branches, labels = self._branches()
            self.surfaces.append(fusion_accuracies(branches["zero_shot"], branches["aux"], labels, grid))
            for part, state in zip(parts, start, strict=True):
                part.load_state_dict(copy.deepcopy(state))
        default = grid.place_of(trainer.trained_fusion)
        accuracies = [float(surface[default]) for surface in self.surfaces]
        chosen = tune_loss_weight(self.loss_weights, accuracies, len(labels), configured)
        tried = ", ".join(
            f"{value:g}: {found:.2f}%" for value, found in zip(self.loss_weights, accuracies, strict=True)
        )
        print(f"lambda {chosen:g} chosen on {len(labels)} {trainer.chosen_on} images ({tried})")
        return chosen

    def choose_fusion(self) -> Tuning | None:
        """Choose alpha, uncertainty kind and power for the present adapter; None if they stay as configured."""
        trainer = self.trainer
        if trainer.settings.TUNE not in ("post_hoc", "all"):
            return None
        if trainer.selection_images is None or not trainer.num_known:
            why = "the data set has no validation images of its own" if trainer.num_known else "no class is known"
            print(f"alpha, uncertainty and power stay as configured: {why}")
            return None
        branches, labels = self._branches()
        grid = read_grid(trainer.settings)
        accuracies = fusion_accuracies(branches["zero_shot"], branches["aux"], labels, grid)
        tuning = tune_fusion(grid, accuracies, len(labels), trainer.trained_fusion)
        if self.surfaces:
            tuning = with_loss_weights(tuning, self.loss_weights, self.surfaces, trainer.loss_lambda)
        chosen = ", ".join(f"{name} {value}" for name, value in tuning.chosen.items())
        print(f"{chosen} chosen on {len(labels)} {trainer.chosen_on} images ({tuning.accuracy:.2f}%)")
        return tuning

    def _train(self, loss_lambda: float) -> None:
        trainer = self.trainer
        trainer.loss_lambda = loss_lambda
        trainer.set_model_mode("train")
        for epoch in range(trainer.max_epoch):
            trainer.epoch = epoch
            trainer.before_epoch()
            for index, batch in enumerate(trainer.train_loader_x):
                trainer.batch_idx = index
                trainer.forward_backward(batch)
        trainer.epoch = 0

    @torch.no_grad()
    def _branches(self) -> tuple[dict[str, Tensor], Tensor]:
        self.trainer.set_model_mode("eval")
        branches, labels = self.trainer.collect_branches(*self.trainer.selection_images)
        return branches, labels
