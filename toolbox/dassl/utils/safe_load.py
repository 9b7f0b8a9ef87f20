"""Reading torch files with an allow-list instead of arbitrary pickle."""

import pickle
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from torch import optim
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

# A warm-up schedule of other Dassl versions pickles the schedule that it wraps, and through it the optimiser.
# Restoring one of these only fills a dictionary: none of them runs code while being unpickled.
_OPTIMISERS = (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.RAdam)
_SCHEDULES = (lr_scheduler.StepLR, lr_scheduler.MultiStepLR, lr_scheduler.CosineAnnealingLR)


def load_safely(fpath: str) -> Any:
    """Return the contents of a torch file.

    Args:
        fpath: An existing file. Tensors from a device that is missing here come to the CPU.

    Raises:
        ValueError: If the file is damaged, or holds objects that could run code while being loaded.
    """
    try:
        with torch.serialization.safe_globals(_allowed()):
            loaded = torch.load(fpath, map_location=_existing_device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        # Recent torch reports damage inside the pickle as an UnpicklingError, too.
        if not isinstance(error, pickle.UnpicklingError) or "Failed to load pickle data" in reason:
            raise ValueError(f'"{fpath}" cannot be read: damaged, or not a torch file ({reason})') from error
        raise ValueError(
            f'"{fpath}" is a pickle of objects other than tensors and plain values, which could run code '
            "and is not loaded; if you trust the file, convert it once: "
            'torch.save({"state_dict": torch.load(FILE, weights_only=False)["state_dict"], "epoch": EPOCH}, FILE)'
        ) from error
    return _plain(loaded)


def _scalar_of(module: str) -> Any:
    """Return NumPy's constructor of a pickled number under a module's name, by which torch looks it up."""

    construct: Any = np.float64(0.0).__reduce__()[0]

    def scalar(*arguments: Any) -> Any:
        return construct(*arguments)

    scalar.__module__, scalar.__qualname__ = module, "scalar"
    return scalar


# Before and after NumPy 2.
_NUMBERS = [_scalar_of("numpy.core.multiarray"), _scalar_of("numpy._core.multiarray")]


def _allowed() -> list[Any]:
    from dassl.optim.radam import RAdam

    return [
        *_OPTIMISERS,
        *_SCHEDULES,
        RAdam,
        Counter,
        defaultdict,
        dict,
        *_NUMBERS,  # a val_result may be one
        np.dtype,
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
        type(np.dtype(np.int64)),
    ]


def _existing_device(storage: Any, location: str) -> Any:
    """Keep a tensor on the device it was saved from, by returning None, unless there is no such device here."""
    if not location.startswith("cuda"):
        return None if location == "cpu" else storage
    index = int(location.partition(":")[2] or 0)
    return None if index < torch.cuda.device_count() else storage


def _plain(value: Any) -> Any:
    """Replace schedule objects by dictionaries of their settings, drop optimisers, and unwrap NumPy numbers."""
    if isinstance(value, LRScheduler):
        return {key: _plain(item) for key, item in vars(value).items() if not isinstance(item, Optimizer)}
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items() if not isinstance(item, Optimizer)}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value
