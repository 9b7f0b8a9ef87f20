"""AMU's published form, {"fc.weight": (C, F)} in float32: read in all its variants, written as released."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from amu_raft.backbones.state_files import load_state_file, save_state_file
from amu_raft.methods.released_weights import check_numbers, without_nests


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
    check_numbers(name, tensor, path)
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


def _only_weight(loaded: Any, path: Path | str) -> tuple[str, Tensor]:
    loaded = without_nests(loaded)
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
