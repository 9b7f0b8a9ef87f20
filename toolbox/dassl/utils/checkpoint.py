"""Checkpoints: written whole or not at all, and read without running code that they may carry."""

import os
import shutil
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dassl.utils.distributed import unwrap
from dassl.utils.files import atomic_write, mkdir_if_missing
from dassl.utils.safe_load import load_safely

BEST_NAME = "model-best.pth.tar"
PERIODIC_PREFIX = "model.pth.tar-"  # followed by the epoch, counted from 1
LATEST_NAME = "checkpoint"  # text file whose first line names the checkpoint written last


def save_checkpoint(
    state: dict[str, Any],
    save_dir: str,
    is_best: bool = False,
    remove_module_from_keys: bool = True,
    model_name: str = "",
) -> None:
    """Write a checkpoint, and beside it the file ``checkpoint`` that holds its name.

    Args:
        state: state_dict, epoch and whatever else is to be kept. Its state_dict is replaced if keys change.
        save_dir: The folder, made if missing.
        is_best: Copy the file to ``model-best.pth.tar`` as well.
        remove_module_from_keys: Strip a leading ``module.`` from the keys of the state dict.
        model_name: File name; empty means ``model.pth.tar-<epoch>``.
    """
    mkdir_if_missing(save_dir)
    if remove_module_from_keys:
        state["state_dict"] = _without_module(state["state_dict"])
    name = model_name or f"{PERIODIC_PREFIX}{state['epoch']}"
    fpath = os.path.join(save_dir, name)
    with atomic_write(fpath, "wb") as stream:
        torch.save(state, stream)
    print(f"Checkpoint saved to {fpath}")
    with atomic_write(os.path.join(save_dir, LATEST_NAME)) as stream:
        stream.write(f"{name}\n")
    if is_best:
        best = os.path.join(save_dir, BEST_NAME)
        copy_file(fpath, best)
        print(f'Best checkpoint saved to "{best}"')


def load_checkpoint(fpath: str | None) -> dict[str, Any]:
    """Return what a checkpoint holds, its tensors on the device they were saved from if that exists, else the CPU.

    Only tensors, plain containers, numbers and text are read, and the optimiser and schedule objects of torch
    that files of other Dassl versions hold. The latter come back as plain dictionaries of their settings.

    Raises:
        ValueError: If the path is None, the file is damaged, or it holds objects of other kinds.
        FileNotFoundError: If there is no such file.
    """
    if fpath is None:
        raise ValueError("File path is None")
    if not os.path.exists(fpath):
        raise FileNotFoundError(f'File is not found at "{fpath}"')
    checkpoint = load_safely(fpath)
    if not isinstance(checkpoint, dict):
        raise ValueError(f'"{fpath}" is no checkpoint: it holds a {type(checkpoint).__name__}, not a dictionary')
    return checkpoint


def resume_from_checkpoint(
    fdir: str, model: nn.Module, optimizer: Optimizer | None = None, scheduler: LRScheduler | None = None
) -> int:
    """Restore a model, and its optimiser and schedule if given, from the checkpoint written last.

    Returns:
        The number of epochs that the model had been trained for.

    Raises:
        FileNotFoundError: If the folder has no ``checkpoint`` file or the file that it names is missing.
        RuntimeError: If the weights do not fit the model.
    """
    latest = os.path.join(fdir, LATEST_NAME)
    if not os.path.isfile(latest):
        raise FileNotFoundError(f'No file "{LATEST_NAME}" in {fdir}, so there is nothing to resume from')
    fpath = os.path.join(fdir, _first_line(latest))
    print(f'Loading checkpoint from "{fpath}"')
    checkpoint = load_checkpoint(fpath)
    load_weights_strictly(model, checkpoint["state_dict"], fpath)
    print("Loaded model weights")
    if optimizer is not None and checkpoint.get("optimizer") is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
        print("Loaded optimizer")
    if scheduler is not None and checkpoint.get("scheduler") is not None:
        scheduler.load_state_dict(checkpoint["scheduler"])
        print("Loaded scheduler")
    epoch = int(checkpoint["epoch"])
    print(f"Previous epoch: {epoch}")
    return epoch


def load_pretrained_weights(model: nn.Module, weight_path: str) -> None:
    """Load the weights that fit a model and report the rest.

    Args:
        model: Receives every tensor whose name and shape it has; a wrapper for several devices is looked through.
        weight_path: A state dict, bare or under "state_dict"; a leading ``module.`` of its keys is ignored.
    """
    checkpoint = load_checkpoint(weight_path)
    given = _without_module(checkpoint.get("state_dict", checkpoint))
    inner = unwrap(model)
    own = inner.state_dict()
    matched = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    discarded = [key for key in given if key not in matched]
    if not matched:
        warnings.warn(f"Cannot load {weight_path} (check the key names manually)", stacklevel=2)
        return
    inner.load_state_dict({**own, **matched})
    print(f"Successfully loaded pretrained weights from {weight_path}")
    if discarded:
        print(f"Layers discarded due to unmatched keys or size: {discarded}")


def load_weights_strictly(model: nn.Module, state_dict: Mapping[str, Any], fpath: str, name: str = "") -> None:
    """Load a state dict that must fit the model exactly.

    Args:
        model: Receives the weights; a wrapper for several devices is looked through unless the keys name it.
        state_dict: The weights.
        fpath: Where they come from, for the message.
        name: The model's name, for the message.

    Raises:
        RuntimeError: If they do not fit; one line names the file, the model and the keys or shapes at fault.
    """
    target = model if any(key.startswith("module.") for key in state_dict) else unwrap(model)
    try:
        target.load_state_dict(state_dict)
    except RuntimeError as error:
        faults = _mismatches(target.state_dict(), state_dict) or [" ".join(str(error).split())]
        raise RuntimeError(
            f"{fpath} does not fit the model{f' {name}' if name else ''}: {'; '.join(faults)}"
        ) from error


def _mismatches(own: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Describe how a state dict differs from the one that a model has; of many keys only the first are named."""

    def shape(value: Any) -> tuple[int, ...]:
        return tuple(getattr(value, "shape", ()))

    wrong = [key for key in own if key in given and shape(given[key]) != shape(own[key])]
    faults = {
        "missing": [key for key in own if key not in given],
        "unexpected": [key for key in given if key not in own],
        "of another shape": [f"{key} {shape(given[key])} instead of {shape(own[key])}" for key in wrong],
    }
    most = 5
    return [
        f"{kind}: {', '.join(keys[:most])}" + (f" and {len(keys) - most} more" if len(keys) > most else "")
        for kind, keys in faults.items()
        if keys
    ]


def align_checkpoints(folders: Sequence[str]) -> bool:
    """Make sure that the models of one run resume from the same epoch.

    A run that is stopped between the writing of two models leaves one of them behind. Then every folder's
    ``checkpoint`` file is pointed at the newest checkpoint that all folders have.

    Args:
        folders: One folder per model.

    Returns:
        Whether there is a checkpoint to resume from in every folder.
    """
    latest = [os.path.join(folder, LATEST_NAME) for folder in folders]
    if not folders or not all(os.path.isfile(path) for path in latest):
        return False
    if len(folders) == 1 or len({_latest_epoch(folder) for folder in folders}) == 1:
        return True
    names = [{name for name in os.listdir(folder) if name.startswith(PERIODIC_PREFIX)} for folder in folders]
    epochs = [name.removeprefix(PERIODIC_PREFIX) for name in set.intersection(*names)]
    common = max((int(epoch) for epoch in epochs if epoch.isdigit()), default=None)
    if common is None:
        return False
    for path in latest:
        with atomic_write(path) as stream:
            stream.write(f"{PERIODIC_PREFIX}{common}\n")
    return True


def _latest_epoch(folder: str) -> int | None:
    """Return the epoch of the checkpoint written last, None if it is missing. The best model's name does not tell."""
    name = _first_line(os.path.join(folder, LATEST_NAME))
    epoch = name.removeprefix(PERIODIC_PREFIX)
    if epoch.isdigit():
        return int(epoch)
    path = os.path.join(folder, name)
    return int(load_checkpoint(path)["epoch"]) if os.path.isfile(path) else None


def _first_line(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.readline().strip()


def copy_file(source: str, target: str) -> None:
    """Copy a file; the copy appears whole or not at all."""
    with open(source, "rb") as reader, atomic_write(target, "wb") as writer:
        shutil.copyfileobj(reader, writer)


def _without_module(state_dict: Mapping[str, Any]) -> "OrderedDict[str, Any]":
    return OrderedDict((key.removeprefix("module."), value) for key, value in state_dict.items())
