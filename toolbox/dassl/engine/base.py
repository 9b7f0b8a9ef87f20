"""What every trainer has: registered models, tensorboard and the outline of a training run."""

import warnings
from typing import Any

from dassl.engine.saving import SavedModels
from dassl.utils.distributed import is_main


class TrainerBase(SavedModels):
    """Registered models, and an outline of training with empty hooks."""

    epoch: int
    start_epoch: int
    max_epoch: int

    def __init__(self) -> None:
        super().__init__()
        self._writer: Any = None

    def init_writer(self, log_dir: str) -> None:
        """Start writing for tensorboard, unless that has been done. Without tensorboard there is a warning instead."""
        if self._writer is not None or not is_main():
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            warnings.warn(f"No event files are written, because tensorboard is missing ({error})", stacklevel=2)
            return
        print(f"Initialize tensorboard (log_dir={log_dir})")
        self._writer = SummaryWriter(log_dir=log_dir)  # type: ignore[no-untyped-call]

    def close_writer(self) -> None:
        """End writing for tensorboard."""
        if self._writer is not None:
            self._writer.close()

    def write_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None) -> None:
        """Write a number for tensorboard; nothing happens without a writer."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    def train(self, start_epoch: int, max_epoch: int) -> None:
        """Run the epochs from start_epoch, which `before_train` may move, up to but without max_epoch."""
        self.start_epoch = start_epoch
        self.max_epoch = max_epoch
        self.before_train()
        for self.epoch in range(self.start_epoch, self.max_epoch):  # noqa: B020
            self.before_epoch()
            self.run_epoch()
            self.after_epoch()
        self.after_train()

    def before_train(self) -> None:
        """Hook before the first epoch."""

    def after_train(self) -> None:
        """Hook after the last epoch."""

    def before_epoch(self) -> None:
        """Hook before each epoch."""

    def after_epoch(self) -> None:
        """Hook after each epoch."""

    def run_epoch(self) -> None:
        """Train for one epoch."""
        raise NotImplementedError

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate the model."""
        raise NotImplementedError

    def parse_batch_train(self, *args: Any, **kwargs: Any) -> Any:
        """Take the tensors of a training batch out of what the loader gives."""
        raise NotImplementedError

    def parse_batch_test(self, *args: Any, **kwargs: Any) -> Any:
        """Take the tensors of a test batch out of what the loader gives."""
        raise NotImplementedError

    def forward_backward(self, *args: Any, **kwargs: Any) -> Any:
        """Train on one batch and return the numbers to report."""
        raise NotImplementedError

    def model_inference(self, *args: Any, **kwargs: Any) -> Any:
        """Return the model's output."""
        raise NotImplementedError
