"""What is chosen, and on which images."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from amu_raft.features.extraction import merge_batches
from amu_raft.methods import Branches, Features
from amu_raft.methods.selection import Tuning
from datasets.validation import has_own_validation
from trainers.base.construction import Construction


class Choices(Construction):
    """Let a method choose its settings on validation images.

    Attributes:
        tuning: Settings that were chosen on images beside the epoch, and how; None if none were.
    """

    tuning: Tuning | None = None

    @cached_property
    def selection_images(self) -> tuple[str, Any] | None:
        """Name and loader of the images that settings and epochs are chosen on.

        These are validation images; None if there are none that are not test images. Only TEST.FINAL_MODEL best_test
        asks for test images, for comparison with figures that were chosen so.
        """
        if self.cfg.TEST.FINAL_MODEL == "best_test":
            return "test", self.test_loader
        return ("val", self.val_loader) if has_own_validation(self.dm.dataset) else None

    @property
    def chosen_on(self) -> str:
        """What a choice is made on, as the record says it."""
        return "test" if self.cfg.TEST.FINAL_MODEL == "best_test" else "validation"

    def settings_chosen(self) -> bool:
        """Tell whether settings of the method, beside the epoch, were chosen on images."""
        return self.tuning is not None or self.method.chosen_before

    def choose(self) -> None:
        """Let the method choose, if it is to and there is something to choose on."""
        if not self.method.chooses:
            return
        if self.tuning is not None and self.kind.learns == "closed_form":
            return  # nothing has changed since the solution was chosen for
        if self.selection_images is None or not self.method.num_known:
            why = "the data set has no validation images of its own" if self.method.num_known else "no class is known"
            print(f"{_shown(self.method.choices)} as configured: {why}")
            return
        tuning = self.tuning = self.method.choose(self.validation)
        if tuning is not None:
            found = _shown(tuning.chosen)
            print(f"{found} chosen on {tuning.num_images} {self.chosen_on} images ({tuning.accuracy:.2f}%)")

    @property
    def validation(self) -> "_Validation":
        """The images that settings are chosen on."""
        assert self.selection_images is not None
        return _Validation(self, *self.selection_images)

    def branch_logits(self, features: Any) -> Branches:
        """Return the logits (N, C) of every branch by name."""
        return self.method.branches(features)

    def decide(self, branches: Branches) -> Tensor:
        """Return the logits (N, C) that decide."""
        return self.method.decide(branches)

    def collect_branches(self, split: str, loader: Any) -> tuple[Branches, Tensor]:
        """Return the logits of every branch over a split, (N, C) each, and the labels (N,)."""
        features = self.frozen.features_of(loader.dataset, title=f"encode {split}")
        batches = features.batches(self.cfg.DATALOADER.TEST.BATCH_SIZE)
        merged, labels = merge_batches([(self.branch_logits(batch), labels) for batch, labels in batches])
        for name, logits in merged.items():
            if not torch.isfinite(logits).all():
                raise FloatingPointError(f"{name} logits of the {split} images are not finite; the model is damaged")
        return merged, labels


class _Validation:
    """Branches and features of the images that settings are chosen on."""

    def __init__(self, trainer: Choices, split: str, loader: Any) -> None:
        self.trainer, self.split, self.loader = trainer, split, loader

    @torch.no_grad()
    def __call__(self) -> tuple[Branches, Tensor]:
        """Return the method's branches, (N, C) each, and the labels (N,)."""
        self.trainer.set_model_mode("eval")
        return self.trainer.collect_branches(self.split, self.loader)

    def features(self) -> tuple[Features, Tensor]:
        """Return the features that the method reads, and the labels (N,)."""
        stored = self.trainer.frozen.features_of(self.loader.dataset, title=f"encode {self.split}")
        return {name: stored.load(name) for name in stored.entries}, stored.labels


def _shown(values: dict[str, Any]) -> str:
    shown = (f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
    return ", ".join(shown)
