"""What published weight files have in common: nests around the tensors, and numbers that may be damaged."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_NESTS = ("state_dict", "net", "model")


def without_nests(loaded: Any) -> Any:
    """Take a state dict out of what it is wrapped in, however deep."""
    while isinstance(loaded, Mapping):
        inner = next((loaded[nest] for nest in _NESTS if isinstance(loaded.get(nest), (Mapping, Tensor))), None)
        if inner is None:
            break
        loaded = inner
    return loaded


def check_numbers(name: str, value: Any, path: Path | str) -> None:
    """Refuse what is no dense floating tensor, or what is not finite in float32."""
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        kind = f"{value.layout} tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{path}: {name} is a {kind}, not a dense tensor of floating numbers")
    bad = int((~torch.isfinite(value.detach().float())).sum())
    if bad:
        raise ValueError(f"{path}: {name} has {bad} of {value.numel()} values that are not finite in float32")
