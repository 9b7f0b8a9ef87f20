"""Learning-rate schedules from ``cfg.OPTIM``, with an optional warm-up."""

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR
from yacs.config import CfgNode

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]
AVAI_WARMUPS = ["constant", "linear"]


class _WarmupScheduler(LRScheduler):
    """A few epochs at other rates, then another schedule.

    Args:
        optimizer: The optimiser, whose rates the successor has already taken as its base rates.
        successor: The schedule that follows.
        warmup_epoch: Length of the warm-up, epochs.
        last_epoch: Index of the last epoch, -1 at the start.
        verbose: Accepted for callers of old torch versions; has no effect.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        successor: LRScheduler,
        warmup_epoch: int,
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        super().__init__(optimizer, last_epoch)

    def warmup_rates(self) -> list[Any]:
        """Return the rates, one per parameter group, of the current epoch of the warm-up."""
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        """Return the rates of the current epoch, one per parameter group."""
        if self.last_epoch >= self.warmup_epoch:
            return list(self.successor.get_last_lr())
        return list(self.warmup_rates())

    def step(self, epoch: int | None = None) -> None:
        """Go on to the next epoch. The first rate after the warm-up is the successor's current one."""
        if self.last_epoch >= self.warmup_epoch:
            self.successor.step(epoch)
            self.last_epoch += 1
            self._step_count += 1
            self._last_lr = self.successor.get_last_lr()
        else:
            super().step(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values; the successor's is a dictionary under "successor"."""
        state = {key: value for key, value in vars(self).items() if key not in ("optimizer", "successor")}
        return {**state, "successor": self.successor.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, the successor's included, without replacing the live successor.

        Other Dassl versions stored the successor as an object that drove an optimiser of its own. Whatever key
        it has and whether it is an object or a dictionary, its settings move into the live one.

        Raises:
            ValueError: If the state is that of a schedule without a warm-up.
        """
        wrapped = {key: value for key, value in state_dict.items() if _is_schedule(value)}
        if not wrapped:
            raise ValueError("The stored learning-rate schedule has no warm-up, but the configuration asks for one")
        for value in wrapped.values():
            settings = vars(value) if isinstance(value, LRScheduler) else value
            self.successor.load_state_dict({key: item for key, item in settings.items() if key != "optimizer"})
        vars(self).update({key: value for key, value in state_dict.items() if key not in wrapped})


def _is_schedule(value: Any) -> bool:
    return isinstance(value, LRScheduler) or (isinstance(value, dict) and "last_epoch" in value)


class ConstantWarmupScheduler(_WarmupScheduler):
    """A warm-up at one constant rate, ``cons_lr``."""

    def __init__(
        self,
        optimizer: Optimizer,
        successor: LRScheduler,
        warmup_epoch: int,
        cons_lr: float,
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, verbose)

    def warmup_rates(self) -> list[Any]:
        """Return the constant rate once per parameter group."""
        return [self.cons_lr for _ in self.base_lrs]


class LinearWarmupScheduler(_WarmupScheduler):
    """A warm-up that starts at ``min_lr`` and rises by the i-th part of the base rate in epoch i."""

    def __init__(
        self,
        optimizer: Optimizer,
        successor: LRScheduler,
        warmup_epoch: int,
        min_lr: float,
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, verbose)

    def warmup_rates(self) -> list[Any]:
        """Return min_lr in the first epoch and then the base rates x epoch / warmup_epoch."""
        if self.last_epoch == 0:
            return [self.min_lr for _ in self.base_lrs]
        return [lr * self.last_epoch / self.warmup_epoch for lr in self.base_lrs]


def build_lr_scheduler(optimizer: Optimizer, optim_cfg: CfgNode) -> LRScheduler:
    """Return the schedule that ``cfg.OPTIM`` describes; it takes one step per epoch.

    Args:
        optimizer: The optimiser to drive.
        optim_cfg: The OPTIM node. With WARMUP_RECOUNT the schedule begins at its epoch 0 after the warm-up;
            without, at epoch WARMUP_EPOCH but still from the full rate.

    Raises:
        ValueError: If LR_SCHEDULER or WARMUP_TYPE is unknown.
        TypeError: If STEPSIZE has the wrong type for the schedule.
    """
    if optim_cfg.LR_SCHEDULER not in AVAI_SCHEDS:
        raise ValueError(f"OPTIM.LR_SCHEDULER must be one of {AVAI_SCHEDS}, but got {optim_cfg.LR_SCHEDULER}")
    schedule = _main_schedule(optimizer, optim_cfg)
    if optim_cfg.WARMUP_EPOCH <= 0:
        return schedule
    if optim_cfg.WARMUP_TYPE not in AVAI_WARMUPS:
        raise ValueError(f"OPTIM.WARMUP_TYPE must be one of {AVAI_WARMUPS}, but got {optim_cfg.WARMUP_TYPE}")
    if not optim_cfg.WARMUP_RECOUNT:
        schedule.last_epoch = optim_cfg.WARMUP_EPOCH
    if optim_cfg.WARMUP_TYPE == "constant":
        return ConstantWarmupScheduler(optimizer, schedule, optim_cfg.WARMUP_EPOCH, optim_cfg.WARMUP_CONS_LR)
    return LinearWarmupScheduler(optimizer, schedule, optim_cfg.WARMUP_EPOCH, optim_cfg.WARMUP_MIN_LR)


def _main_schedule(optimizer: Optimizer, optim_cfg: CfgNode) -> LRScheduler:
    stepsize = optim_cfg.STEPSIZE
    is_sequence = isinstance(stepsize, Sequence) and not isinstance(stepsize, str)
    if optim_cfg.LR_SCHEDULER == "cosine":
        return CosineAnnealingLR(optimizer, T_max=optim_cfg.MAX_EPOCH)
    if optim_cfg.LR_SCHEDULER == "multi_step":
        if not is_sequence:
            raise TypeError(f"OPTIM.STEPSIZE must be a list of epochs for multi_step, but got {stepsize!r}")
        return MultiStepLR(optimizer, milestones=list(stepsize), gamma=optim_cfg.GAMMA)
    epochs = stepsize[-1] if is_sequence and len(stepsize) else stepsize
    if not isinstance(epochs, int):
        raise TypeError(f"OPTIM.STEPSIZE must be an int, or end with one, for single_step, but got {stepsize!r}")
    return StepLR(optimizer, step_size=epochs if epochs > 0 else optim_cfg.MAX_EPOCH, gamma=optim_cfg.GAMMA)
