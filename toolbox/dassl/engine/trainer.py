"""The trainer classes, and the names that callers import beside them."""

from typing import Any

from dassl.engine.base import TrainerBase
from dassl.engine.loops import TrainerX, TrainerXU
from dassl.engine.simple import SimpleTrainer
from dassl.modeling.simple_net import SimpleNet
from dassl.utils.meters import AverageMeter, MetricMeter

__all__ = [
    "AverageMeter",
    "MetricMeter",
    "SimpleNet",
    "SimpleTrainer",
    "SummaryWriter",  # noqa: F822  (made by __getattr__)
    "TrainerBase",
    "TrainerX",
    "TrainerXU",
]


def __getattr__(name: str) -> Any:
    """Find tensorboard's SummaryWriter when it is first asked for: importing it is slow."""
    if name == "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
