"""Tensors that a method learns, whose sizes are known only when they are loaded."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def follow_loaded_shapes(module: nn.Module, shapes: Mapping[str, str]) -> None:
    """Let tensors take the shape of what is loaded into them, of the same number of dimensions.

    A parameter stays the same object, so that an optimiser keeps hold of it.

    Args:
        module: Holds the tensors, perhaps in modules of its own.
        shapes: Dotted name and letters of each, such as {"adapter.fc.weight": "C F"}.
    """
    for dotted in shapes:
        owner, _, name = dotted.rpartition(".")
        # No function of its own, which could not be pickled with the method.
        module.get_submodule(owner).register_load_state_dict_pre_hook(partial(_resize, name))


def _resize(name: str, holder: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    loaded, tensor = state.get(f"{prefix}{name}"), getattr(holder, name)
    if isinstance(loaded, Tensor) and loaded.dim() == tensor.dim() and loaded.shape != tensor.shape:
        tensor.data = torch.empty(loaded.shape, dtype=tensor.dtype, device=tensor.device)


def bound_sizes(module: nn.Module, shapes: Mapping[str, str], expected: Mapping[str, int]) -> dict[str, int]:
    """Return the size behind every letter.

    Args:
        module: Holds the tensors.
        shapes: Dotted name and letters of each.
        expected: Sizes that are known.

    Raises:
        ValueError: If a tensor does not agree with another, or with what is known.
    """
    found = dict(expected)
    for dotted, letters in shapes.items():
        owner, _, name = dotted.rpartition(".")
        shape = tuple(getattr(module.get_submodule(owner), name).shape)
        wanted = tuple(found.setdefault(letter, size) for letter, size in zip(letters.split(), shape, strict=True))
        if shape != wanted:
            raise ValueError(f"{dotted} has shape {shape}; ({', '.join(letters.split())}) = {wanted} is wanted")
    return found
