"""Training by several processes at once: who is who, and how they keep together.

All of it rests on ``torch.distributed``. While that is not initialised, or has one process, there is one rank, 0,
and nothing is communicated or changed.
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes that train together, 1 without ``torch.distributed``."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Return this process's number, counted from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


def is_main() -> bool:
    """Tell whether this is the process that prints, logs and saves: rank 0."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has come here."""
    if world_size() > 1:
        distributed.barrier()


def from_main(value: T) -> T:
    """Return the main process's value in every process. Every process has to call this."""
    if world_size() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network inside a wrapper for several devices, or the network itself."""
    if isinstance(model, (nn.DataParallel, DistributedDataParallel)):
        inner: nn.Module = model.module
        return inner
    return model


def share_weights(tensors: Iterable[Tensor]) -> None:
    """Give parameters and buffers the main process's values, in place."""
    with torch.no_grad():
        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


def share_gradients(parameters: Iterable[Tensor]) -> None:
    """From now on, average each gradient over the processes as soon as it has been accumulated.

    Unlike a wrapper around the model this holds however the model is called: trainers register a part, such as a
    prompt learner, and call the whole. It also comes before a gradient scaler looks for overflows, so all
    processes agree on skipping a step. Frozen parameters are left alone; the others must lie on one device, and
    every process must use the same ones in a step.

    Args:
        parameters: The parameters; one that occurs twice counts once.
    """
    for parameter in dict.fromkeys(parameters):
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(_average_gradient)


def _average_gradient(parameter: Tensor) -> None:
    gradient: Any = parameter.grad
    gradient.div_(world_size())  # before the sum, which could overflow in half precision
    distributed.all_reduce(gradient)
