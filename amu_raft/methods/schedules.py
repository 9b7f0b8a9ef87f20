"""Learning rates per iteration, as tables, and the scheduler that follows a table."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def cosine_table(lr: float, *, total_steps: int) -> list[float]:
    """Return AMU's rates: a half cosine from ``lr`` towards 0 over all iterations.

    Raises:
        ValueError: If there is no step.
    """
    _check_positive("total_steps", total_steps)
    return [0.5 * lr * (1 + math.cos(math.pi * step / total_steps)) for step in range(total_steps)]


def warmup_cosine_table(
    lr: float, *, total_steps: int, warmup_steps: int, final_lr: float = 1e-6, released: bool = False
) -> list[float]:
    """Return RAFT's rates: linear warm-up, then a half cosine to ``final_lr``.

    Args:
        lr: Highest rate.
        total_steps: Number of iterations.
        warmup_steps: How many of them warm up; 0 switches warm-up off.
        final_lr: Where the cosine ends.
        released: The released table starts at rate 0 and reaches ``lr`` in the last warm-up step. Ours starts one
            increment above 0, so that no step is lost.

    Raises:
        ValueError: If there is no step or the warm-up is longer than the run.

    Source:
        RAFT (ICME 2024), released schedule.
    """
    _check_positive("total_steps", total_steps)
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(f"warm-up of {warmup_steps} steps does not fit a run of {total_steps}")
    if released:
        gaps = max(warmup_steps - 1, 1)
        warmup = [lr * step / gaps for step in range(warmup_steps)]
    else:
        warmup = [lr * (step + 1) / warmup_steps for step in range(warmup_steps)]
    rest = total_steps - warmup_steps
    cosine = [final_lr + 0.5 * (lr - final_lr) * (1 + math.cos(math.pi * step / rest)) for step in range(rest)]
    return warmup + cosine


def released_order(table: Sequence[float]) -> list[float]:
    """Return the rates that the released RAFT code really uses for a table.

    Its scheduler sets rate 0 when it is made and advances after each optimiser step, so the table comes one step
    late: the first two steps run at rate 0 and the last entry is never used.
    """
    return [0.0, *table[:-1]]


class TableScheduler(LRScheduler):
    """Give every optimiser step its rate from a table; beyond its end the last rate stays.

    Only the position is saved in checkpoints: the table belongs to the configuration.

    Args:
        optimizer: Its parameter groups all get the table's rate.
        table: One rate per step, at least one.

    Raises:
        ValueError: If the table is empty.
    """

    def __init__(self, optimizer: Optimizer, table: Sequence[float]) -> None:
        if not table:
            raise ValueError("a learning-rate table needs at least one entry")
        self.table = [float(rate) for rate in table]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """Return the rate of the coming step for every parameter group."""
        rate = self.table[min(self.last_epoch, len(self.table) - 1)]
        return [rate for _ in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the table."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to a saved position and set the optimiser's rates accordingly."""
        self.last_epoch = int(state_dict["last_epoch"])
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate
        self._last_lr = self.get_lr()


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
