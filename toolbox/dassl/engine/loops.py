"""Training loops over labelled batches, and over labelled and unlabelled ones."""

import datetime
import time
from collections.abc import Iterator
from typing import Any

from dassl.engine.simple import SimpleTrainer
from dassl.utils.meters import AverageMeter, MetricMeter


class _LoopTrainer(SimpleTrainer):
    """What the two loops share: timing, the progress line and tensorboard."""

    num_batches: int
    batch_idx: int

    def _start_meters(self) -> None:
        self._losses = MetricMeter()
        self._batch_time = AverageMeter()
        self._data_time = AverageMeter()
        self._batch_start = time.time()

    def _data_loaded(self) -> None:
        self._data_time.update(time.time() - self._batch_start)

    def _report(self, loss_summary: dict[str, Any] | None) -> None:
        """Take in one batch's numbers; print and write them when due."""
        self._batch_time.update(time.time() - self._batch_start)
        self._losses.update(loss_summary)
        every = self.cfg.TRAIN.PRINT_FREQ
        if (self.batch_idx + 1) % every == 0 or self.num_batches < every:
            print(self._progress_line())
        step = self.epoch * self.num_batches + self.batch_idx
        for name, meter in self._losses.meters.items():
            self.write_scalar(f"train/{name}", meter.avg, step)
        self.write_scalar("train/lr", self.get_current_lr(), step)
        self._batch_start = time.time()

    def _progress_line(self) -> str:
        batches_left = self.num_batches - self.batch_idx - 1
        batches_left += (self.max_epoch - self.epoch - 1) * self.num_batches
        eta = datetime.timedelta(seconds=int(self._batch_time.avg * batches_left))
        fields = [
            f"epoch [{self.epoch + 1}/{self.max_epoch}]",
            f"batch [{self.batch_idx + 1}/{self.num_batches}]",
            f"time {self._batch_time.val:.3f} ({self._batch_time.avg:.3f})",
            f"data {self._data_time.val:.3f} ({self._data_time.avg:.3f})",
            str(self._losses),
            f"lr {self.get_current_lr():.4e}",
            f"eta {eta}",
        ]
        return " ".join(field for field in fields if field)


class TrainerX(_LoopTrainer):
    """Training on labelled batches.

    Methods implement ``forward_backward(batch)``, which returns the numbers to report by name. It also steps the
    learning rate, by ``update_lr`` at the last batch of an epoch.
    """

    def run_epoch(self) -> None:
        """Train on every batch of the labelled loader."""
        self.set_model_mode("train")
        self.num_batches = len(self.train_loader_x)
        self._start_meters()
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
            self._data_loaded()
            self._report(self.forward_backward(batch))

    def parse_batch_train(self, batch: dict[str, Any]) -> Any:
        """Return images (N, 3, H, W), labels (N,) and domains (N,) on the device."""
        return batch["img"].to(self.device), batch["label"].to(self.device), batch["domain"].to(self.device)


class TrainerXU(_LoopTrainer):
    """Training on pairs of a labelled and an unlabelled batch; methods implement ``forward_backward(x, u)``."""

    def run_epoch(self) -> None:
        """Train on as many pairs as TRAIN.COUNT_ITER says; a loader that runs out starts again.

        Raises:
            ValueError: If COUNT_ITER is unknown or there is no unlabelled data.
        """
        self.set_model_mode("train")
        self.num_batches = self._count_batches()
        batches_x, batches_u = _Endless(self.train_loader_x), _Endless(self.train_loader_u)
        self._start_meters()
        for self.batch_idx in range(self.num_batches):  # noqa: B020
            batch_x, batch_u = next(batches_x), next(batches_u)
            self._data_loaded()
            self._report(self.forward_backward(batch_x, batch_u))

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
