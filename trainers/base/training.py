"""Training: batches, the start, epochs, steps."""

import copy
import time
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from amu_raft.features.extraction import Features
from amu_raft.features.frozen import memory_for_views
from amu_raft.features.views import FeatureBatches, derive_seed
from amu_raft.fit.training_loop import start_method
from amu_raft.progress import progress
from dassl.metrics import compute_accuracy
from dassl.utils import MetricMeter, set_random_seed
from dassl.utils.checkpoint import BEST_NAME
from datasets.classes import write_classes
from trainers.base.choices import Choices


class Training(Choices):
    """Train a method in the toolbox's outline."""

    train_loader_x: Any

    def before_train(self) -> None:
        """Choose the training batches, start the method from them, then resume if there is something to resume.

        Raises:
            ValueError: If an epoch is to be chosen on validation images and there are none, or a checkpoint is of a
                later epoch than the last.
        """
        if self.cfg.TEST.FINAL_MODEL == "best_val" and self.get_model_names() and self.selection_images is None:
            raise ValueError("TEST.FINAL_MODEL best_val needs validation images that are not the test images")
        if self.cfg.TEST.FINAL_MODEL == "best_test":
            print(
                "TEST.FINAL_MODEL best_test: whatever is chosen is chosen on TEST labels; the figures are an oracle's"
            )
        if self.kind.learns != "nothing":
            write_classes(self.dm.dataset, self.cfg.OUTPUT_DIR)
            self.start_method()
        super().before_train()
        if self.start_epoch > self.max_epoch and self.kind.learns == "gradient":
            raise ValueError(
                f"the checkpoint to resume from is of epoch {self.start_epoch}, beyond OPTIM.MAX_EPOCH {self.max_epoch}"
            )

    def start_method(self) -> None:
        """Let the method begin from the training images; one in closed form is ready then, and is saved."""
        self.method.known = None
        self.choose_batches()
        start_method(self.method, self.training, self.cfg.SEED)
        if self.kind.learns == "gradient":
            if self.selection_images is not None and (line := self._try_out()):
                print(f"{line}, {self.chosen_on} images")
        else:
            self.choose()
            self._save_solution()

    def _try_out(self) -> str:
        return self.method.choose_by_training(_Trials(self), self.validation)

    def _save_solution(self) -> None:
        for name in ("", *([BEST_NAME] if self.cfg.TEST.FINAL_MODEL != "last_step" else [])):
            self.save_model(0, self.output_dir, model_name=name)

    def resume_model_if_exist(self, directory: str) -> int:
        """Resume training by gradient; a solution in closed form has just been computed."""
        return int(super().resume_model_if_exist(directory)) if self.kind.learns == "gradient" else 0

    def choose_batches(self) -> None:
        """Let training go through cached views, or keep the loader's last batch when it is short."""
        if self.kind.learns != "gradient":
            return
        if self.num_views is None:
            self.train_loader_x = _keep_short_batch(self.train_loader_x)
            return
        views = self.training.views_of(self.num_views)
        self.train_loader_x = FeatureBatches(
            views.views(memory=memory_for_views(self.device)),
            views.labels_of_images,
            num_views=self.num_views,
            batch_size=self.recipe.batch_size,
            seed=self.cfg.SEED,
        )

    def before_epoch(self) -> None:
        """Make the epoch's order and augmentation depend on seed and epoch alone, so that resumed runs go on alike."""
        if isinstance(self.train_loader_x, FeatureBatches):
            self.train_loader_x.set_epoch(self.epoch)
        if self.cfg.SEED >= 0:
            set_random_seed(derive_seed(self.cfg.SEED, self.epoch))

    def run_epoch(self) -> None:
        """Train one epoch and print one line about it."""
        self.set_model_mode("train")
        self.num_batches = len(self.train_loader_x)
        metrics, started = MetricMeter(), time.perf_counter()
        title = f"epoch {self.epoch + 1}/{self.max_epoch}"
        rate = self.get_current_lr()
        for self.batch_idx, batch in enumerate(progress(self.train_loader_x, title)):  # noqa: B020  the toolbox's name
            metrics.update(self.forward_backward(batch))
        for name, meter in metrics.meters.items():
            self.write_scalar(f"train/{name}", meter.avg, self.epoch)
        self.write_scalar("train/lr", rate, self.epoch)
        averages = " ".join(f"{name} {round(meter.avg, 4) + 0.0:.4f}" for name, meter in metrics.meters.items())
        print(
            f"epoch [{self.epoch + 1}/{self.max_epoch}] {averages} lr {rate:.4e} "
            f"time {time.perf_counter() - started:.2f}s"
        )

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """Train on one batch by the method's loss."""
        features, labels = self.parse_batch_train(batch)
        loss = self.method.loss(features, labels)
        self.descend(loss.total)
        parts = {name: value.item() for name, value in loss.parts.items()}
        return {"loss": loss.total.item(), **parts, "acc": batch_accuracy(loss.logits, labels)}

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Features, Tensor]:
        """Return a training batch's features and labels, encoding images unless they are encoded already."""
        labels = batch["label"].to(self.device)
        if "img" in batch:
            return self.encode(batch["img"].to(self.device)), labels
        return {name: values for name, values in batch.items() if name != "label"}, labels

    def descend(self, loss: Tensor) -> None:
        """Do one optimiser step, then one step of the schedule."""
        self.detect_anomaly(loss)
        self.model_zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optim)
        self.scaler.update()
        self.update_lr()

    def detect_anomaly(self, loss: Tensor) -> None:
        """Stop the run at a loss that is not finite, naming the step.

        Raises:
            FloatingPointError: With epoch and batch, counted from 1.
        """
        if not torch.isfinite(loss).all():
            raise FloatingPointError(
                f"loss is {loss.item()} at epoch {self.epoch + 1}, batch {self.batch_idx + 1}; "
                "try a smaller OPTIM.LR or TRAINER precision fp32"
            )


class _Trials:
    """Training from the present start, as often as a method wants."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.parts = (trainer.method.trained, trainer.optim, trainer.sched, trainer.scaler)
        self.start = [copy.deepcopy(part.state_dict()) for part in self.parts]

    def train(self) -> None:
        """Train from the present start for all epochs."""
        trainer = self.trainer
        trainer.set_model_mode("train")
        for epoch in range(trainer.max_epoch):
            trainer.epoch = epoch
            trainer.before_epoch()
            for index, batch in enumerate(trainer.train_loader_x):
                trainer.batch_idx = index
                trainer.forward_backward(batch)
        trainer.epoch = 0

    def reset(self) -> None:
        """Put weights, optimiser and schedule back to the start."""
        for part, state in zip(self.parts, self.start, strict=True):
            part.load_state_dict(copy.deepcopy(state))


def batch_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return top-1 accuracy of a batch in percent."""
    return float(compute_accuracy(logits.detach(), labels)[0].item())


def _keep_short_batch(loader: Any) -> Any:
    """Keep the last batch of an epoch when it is short: at one shot the toolbox would drop a fifth of ten images."""
    if not loader.drop_last:
        return loader
    return DataLoader(
        loader.dataset,
        batch_size=loader.batch_size,
        sampler=loader.sampler,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
    )
