"""A method in the toolbox's outline: its evaluation, and what is recorded of it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from amu_raft.methods import Branches
from amu_raft.methods.selection import accuracy_percent
from amu_raft.model.top_classes import top_classes
from datasets.validation import has_own_validation, validation_facts
from trainers.base.loading import Loading


class FewShotTrainer(Loading):
    """Trainer of a method; ``trainers.base.registering`` makes one for each.

    Attributes:
        outcome: What the last evaluation found beyond the evaluator's figures: accuracy of every branch in percent,
            the protocol, and the method's own numbers.
        image_outcome: The same image by image: columns (N, ...) by name, see ``experiments.results.predictions``.
    """

    image_outcome: dict[str, Tensor]

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate on a split and keep the accuracy of every branch in ``outcome``.

        Args:
            split: "val" or "test"; TEST.SPLIT if not given. Without validation images "val" is "test", as upstream.

        Returns:
            Accuracy in percent.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = split or self.cfg.TEST.SPLIT
        split, loader = ("val", self.val_loader) if split == "val" and self.val_loader else ("test", self.test_loader)
        self.choose()
        print(f"Evaluate on the *{split}* set")
        branches, labels = self.collect_branches(split, loader)
        self.evaluator.process(self.decide(branches), labels)
        results = self.evaluator.evaluate()
        accuracies = {name: accuracy_percent(logits, labels) for name, logits in branches.items()}
        for name, value in [*results.items(), *((f"accuracy_{name}", value) for name, value in accuracies.items())]:
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        print(" ".join(f"{name} {value:.2f}%" for name, value in accuracies.items()))
        self.outcome = {
            "split": split,
            "branches": accuracies,
            "zero_shot_accuracy": accuracies["zero_shot"],
            "protocol": self.protocol(),
            **self._tuning_record(),
            **self.method.facts(),
        }
        self.image_outcome = self.describe_images(branches) if self.cfg.TEST.KEEP_PREDICTIONS else {}
        return float(next(iter(results.values())))

    def validation_logits(self) -> tuple[Tensor, Tensor] | None:
        """Return the deciding logits (N, C) of the validation images and their labels; None if there are none."""
        if not has_own_validation(self.dm.dataset):
            return None
        self.set_model_mode("eval")
        with torch.no_grad():
            branches, labels = self.collect_branches("val", self.val_loader)
            return self.decide(branches), labels

    def model_inference(self, images: Tensor) -> Tensor:
        """Return the deciding logits (N, C) of images as the loaders give them."""
        return self.decide(self.branch_logits(self.encode(images)))

    def protocol(self) -> dict[str, Any]:
        """Say how the model and its numbers were chosen."""
        epoch_chosen = self.cfg.TEST.FINAL_MODEL != "last_step" and self.kind.learns == "gradient"
        selected_on = self.chosen_on if epoch_chosen or self.settings_chosen() else "none"
        return {
            "final_model": self.cfg.TEST.FINAL_MODEL,
            "selected_on": selected_on,
            "views": self.cfg.TRAIN.VIEWS,
            "oracle": selected_on == "test",
            **self._validation_facts,
            **self.method.protocol(),
        }

    @cached_property
    def _validation_facts(self) -> dict[str, Any]:
        return validation_facts(self.dm.dataset, self.cfg.DATASET.NUM_SHOTS)

    def _tuning_record(self) -> dict[str, Any]:
        if self.tuning is None:
            return {}
        return {"tuning": self.tuning.record(on=self.chosen_on, method=self.kind.__name__)}

    def describe_images(self, branches: Branches) -> dict[str, Tensor]:
        """Return what is recorded of each image beside the logits that decide: columns (N, ...) by name, on the CPU."""
        found = top_classes(branches["zero_shot"])
        zero_shot = {"zero_shot_top5": found.labels, "zero_shot_probabilities": found.probabilities}
        return {**zero_shot, **self.method.columns(branches)}

    @torch.no_grad()
    def attention_of(self, images: Any, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return attention maps (len(rows), h, w) of some images of a data set by ``experiments.results.attention``."""
        if self.kind.shows != "attention":
            return {}
        stored = self.frozen.features_of(images, title="encode images to show")
        return self.method.attention({name: stored.take(name, rows) for name in stored.entries})
