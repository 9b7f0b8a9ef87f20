"""Training loops over labelled batches, and over labelled and unlabelled ones."""

import datetime
import time
from collections.abc import Iterator
from typing import Any

from dassl.engine.simple import SimpleTrainer
from dassl.utils.meters import AverageMeter, MetricMeter


class _Progress:
    """Timing and averages over one epoch, the progress line, and what tensorboard gets of a batch.

    It is no part of the trainer, so that none of its names can meet one of a method's.
    """

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.losses = MetricMeter()
        self.batch_time = AverageMeter()
        self.data_time = AverageMeter()
        self.batch_start = time.time()

    def data_loaded(self) -> None:
        """Note how long the batch took to come."""
        self.data_time.update(time.time() - self.batch_start)

    def report(self, loss_summary: dict[str, Any] | None) -> None:
        """Take in one batch's numbers; print and write them when due."""
        trainer, every = self.trainer, self.trainer.cfg.TRAIN.PRINT_FREQ
        self.batch_time.update(time.time() - self.batch_start)
        self.losses.update(loss_summary)
        if (trainer.batch_idx + 1) % every == 0 or trainer.num_batches < every:
            print(self)
        step = trainer.epoch * trainer.num_batches + trainer.batch_idx
        for name, meter in self.losses.meters.items():
            trainer.write_scalar(f"train/{name}", meter.avg, step)
        trainer.write_scalar("train/lr", trainer.get_current_lr(), step)
        self.batch_start = time.time()

    def __str__(self) -> str:
        trainer = self.trainer
        batches_left = trainer.num_batches - trainer.batch_idx - 1
        batches_left += (trainer.max_epoch - trainer.epoch - 1) * trainer.num_batches
        eta = datetime.timedelta(seconds=int(self.batch_time.avg * batches_left))
        fields = [
            f"epoch [{trainer.epoch + 1}/{trainer.max_epoch}]",
            f"batch [{trainer.batch_idx + 1}/{trainer.num_batches}]",
            f"time {self.batch_time.val:.3f} ({self.batch_time.avg:.3f})",
            f"data {self.data_time.val:.3f} ({self.data_time.avg:.3f})",
            str(self.losses),
            f"lr {trainer.get_current_lr():.4e}",
            f"eta {eta}",
        ]
        return " ".join(field for field in fields if field)


class TrainerX(SimpleTrainer):
    """Training on labelled batches.

    Methods implement ``forward_backward(batch)``, which returns the numbers to report by name. It also steps the
    learning rate, by ``update_lr`` at the last batch of an epoch.

    Attributes:
        num_batches: Batches in an epoch.
        batch_idx: The current batch, counted from 0.
    """

    num_batches: int
    batch_idx: int

    def run_epoch(self) -> None:
        """Train on every batch of the labelled loader."""
        self.set_model_mode("train")
        self.num_batches = len(self.train_loader_x)
        progress = _Progress(self)
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
            progress.data_loaded()
            progress.report(self.forward_backward(batch))

    def parse_batch_train(self, batch: dict[str, Any]) -> Any:
        """Return images (N, 3, H, W), labels (N,) and domains (N,) on the device."""
        return batch["img"].to(self.device), batch["label"].to(self.device), batch["domain"].to(self.device)


class TrainerXU(SimpleTrainer):
    """Training on pairs of a labelled and an unlabelled batch; methods implement ``forward_backward(x, u)``.

    Attributes:
        num_batches: Pairs in an epoch.
        batch_idx: The current pair, counted from 0.
    """

    num_batches: int
    batch_idx: int

    def run_epoch(self) -> None:
        """Train on as many pairs as TRAIN.COUNT_ITER says; a loader that runs out starts again.

        Raises:
            ValueError: If COUNT_ITER is unknown or there is no unlabelled data.
        """
        self.set_model_mode("train")
        self.num_batches = self._count_batches()
        batches_x, batches_u = _Endless(self.train_loader_x), _Endless(self.train_loader_u)
        progress = _Progress(self)
        for self.batch_idx in range(self.num_batches):  # noqa: B020
            batch_x, batch_u = next(batches_x), next(batches_u)
            progress.data_loaded()
            progress.report(self.forward_backward(batch_x, batch_u))

    def _count_batches(self) -> int:
        if self.train_loader_u is None:
            raise ValueError("This trainer needs unlabelled data, but the data set has no train_u")
        len_x, len_u = len(self.train_loader_x), len(self.train_loader_u)
        counts = {"train_x": len_x, "train_u": len_u, "smaller_one": min(len_x, len_u)}
        if self.cfg.TRAIN.COUNT_ITER not in counts:
            raise ValueError(f"TRAIN.COUNT_ITER must be one of {list(counts)}, but got {self.cfg.TRAIN.COUNT_ITER}")
        return counts[self.cfg.TRAIN.COUNT_ITER]

    def forward_backward(self, batch_x: Any, batch_u: Any) -> Any:
        """Train on one pair of batches and return the numbers to report."""
        raise NotImplementedError

    def parse_batch_train(self, batch_x: dict[str, Any], batch_u: dict[str, Any]) -> Any:
        """Return labelled images (N, 3, H, W), their labels (N,) and unlabelled images (M, 3, H, W) on the device."""
        return batch_x["img"].to(self.device), batch_x["label"].to(self.device), batch_u["img"].to(self.device)


class _Endless:
    """Batches of a loader, which starts again when it runs out.

    The first pass begins in the constructor: beginning one draws from torch's generator, and the two loaders do
    so one after the other, before either gives a batch.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.batches: Iterator[Any] = iter(loader)

    def __next__(self) -> Any:
        try:
            return next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            return next(self.batches)
