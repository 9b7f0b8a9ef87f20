"""The forms in which the papers' authors publish what they trained: read in all their variants, written as released.

AMU: {"fc.weight": (C, F)} in float32. RAFT: {"net": {"attnpool.*": ...}, "optimizer": None, "epoch": 0,
"lr_scheduler": None} in float16, where ``attnpool.*`` are the entries of ``RegionAttention``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.state_files import load_state_file, save_state_file

_NESTS = ("state_dict", "net", "model")
_POOLING_PREFIX = "attnpool."


def read_adapter(path: Path | str, feature_dim: int) -> tuple[Tensor, str]:
    """Read the weight of a linear classifier without bias.

    Accepted are a bare tensor and a state dict with one weight, nested or not, with or without a "module." prefix, in
    any floating type, contiguous or not, as (C, F) or as (F, C).

    Args:
        path: The file.
        feature_dim: Width F of the features that it classifies; it decides the orientation.

    Returns:
        The weight, (C, F) in float32, and what is to be said about it, "" for nothing.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, carries code, or holds anything but one finite matrix of that width.
    """
    name, tensor = _only_weight(load_state_file(path, what="adapter"), path)
    _check_numbers(name, tensor, path)
    if tensor.dim() != 2 or feature_dim not in tensor.shape or min(tensor.shape) < 2:
        raise ValueError(
            f"adapter {path}: {name} has shape {tuple(tensor.shape)}; a classifier of C >= 2 classes on features of "
            f"width {feature_dim} is (C, {feature_dim}) or ({feature_dim}, C)"
        )
    note = ""
    if tensor.shape[0] == tensor.shape[1]:
        note = f"{name} is square: its rows are taken for the classes"
    elif tensor.shape[0] == feature_dim:
        tensor, note = tensor.t(), f"{name} is stored as (F, C) = {tuple(tensor.shape)}: transposed"
    return tensor.detach().float().contiguous().clone(), note


def write_adapter(weight: Tensor, path: Path | str) -> None:
    """Write an adapter's weight (C, F) in the released form."""
    save_state_file({"fc.weight": weight.detach().cpu().float().contiguous().clone()}, path)


def read_attention_pool(path: Path | str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Read a trained attention pooling.

    Accepted are the released form and plain state dicts, nested or not, with or without "attnpool." and "module.".

    Args:
        path: The file.
        shapes: Name and shape of every entry that the backbone's pooling has.

    Returns:
        The entries by these names, in float32.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, carries code, has a missing, unexpected or repeated entry, or one that is of
            another shape or not finite.
    """
    loaded = _without_nests(load_state_file(path, what="checkpoint"))
    if not isinstance(loaded, Mapping):
        raise ValueError(f"checkpoint {path} holds a {type(loaded).__name__}, not the entries of an attention pooling")
    state: dict[str, Any] = {}
    for key, value in loaded.items():
        name = str(key).removeprefix("module.").removeprefix(_POOLING_PREFIX)
        if name in state:
            raise ValueError(f"checkpoint {path} has {name} twice, once as {key}")
        state[name] = value
    for problem, keys in (("no entry", shapes.keys() - state.keys()), ("unexpected", state.keys() - shapes.keys())):
        if keys:
            raise ValueError(f"checkpoint {path}: {problem} {', '.join(sorted(keys))}")
    for name, shape in shapes.items():
        _check_numbers(name, state[name], path)
        if tuple(state[name].shape) != tuple(shape):
            raise ValueError(
                f"checkpoint {path}: {name} has shape {tuple(state[name].shape)}, "
                f"the backbone's pooling needs {tuple(shape)}"
            )
    return {name: state[name].detach().float().contiguous().clone() for name in shapes}


def write_attention_pool(state: Mapping[str, Tensor], path: Path | str) -> None:
    """Write the entries of a ``RegionAttention`` in the released form, rounded to float16.

    Raises:
        ValueError: If an entry is beyond float16.
    """
    halves = {name: value.detach().cpu().half().contiguous().clone() for name, value in state.items()}
    for name, value in halves.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} has values that float16, the released form, cannot hold (up to 65504)")
    net = {f"{_POOLING_PREFIX}{name}": value for name, value in halves.items()}
    save_state_file({"net": net, "optimizer": None, "epoch": 0, "lr_scheduler": None}, path)


def _without_nests(loaded: Any) -> Any:
    """Take a state dict out of what it is wrapped in, however deep."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[nest] for nest in _NESTS if isinstance(loaded.get(nest), (Mapping, Tensor))), None)
        if inner is None:
            break
        loaded = inner
    return loaded


def _only_weight(loaded: Any, path: Path | str) -> tuple[str, Tensor]:
    loaded = _without_nests(loaded)
    if isinstance(loaded, Tensor):
        return "the tensor", loaded
    if not isinstance(loaded, Mapping):
        raise ValueError(f"adapter {path} holds a {type(loaded).__name__}, neither a tensor nor a state dict")
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if len(tensors) != 1:
        found = f"{len(tensors)} tensors ({', '.join(sorted(tensors)[:5])})" if tensors else "no tensor"
        raise ValueError(f"adapter {path} holds {found}; exactly one, fc.weight, is wanted")
    name, tensor = next(iter(tensors.items()))
    if name.split(".")[-1] != "weight":
        raise ValueError(f"adapter {path} holds {name}; fc.weight or weight is wanted")
    return name, tensor


def _check_numbers(name: str, value: Any, path: Path | str) -> None:
    """Refuse what is no dense floating tensor, or what is not finite in float32."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        kind = f"{value.layout} tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{path}: {name} is a {kind}, not a dense tensor of floating numbers")
    bad = int((~torch.isfinite(value.detach().float())).sum())
    if bad:
        raise ValueError(f"{path}: {name} has {bad} of {value.numel()} values that are not finite in float32")
