"""RAFT's published form: read in all its variants, written as released.

It is {"net": {"attnpool.*": ...}, "optimizer": None, "epoch": 0, "lr_scheduler": None} in float16, where ``attnpool.*``
are the entries of ``RegionAttention``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.state_files import load_state_file, save_state_file
from amu_raft.methods.released_weights import check_numbers, without_nests

_POOLING_PREFIX = "attnpool."


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
    loaded = without_nests(load_state_file(path, what="checkpoint"))
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
        check_numbers(name, state[name], path)
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
