"""fp32, amp and fp16, decided once and the same on every device."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

PRECISIONS = ("fp32", "amp", "fp16")


class Precision:
    """Numeric precision of a run.

    fp32: everything in float32. amp: float32 weights, matrix products in float16 on CUDA (with gradient
    scaling) or bfloat16 on the CPU. fp16: weights and arithmetic in float16, the released behaviour.

    Args:
        name: One of ``PRECISIONS``.

    Raises:
        ValueError: If the name is another.
    """

    def __init__(self, name: str) -> None:
        if name not in PRECISIONS:
            raise ValueError(f"unknown precision {name!r}; choose from {', '.join(PRECISIONS)}")
        self.name = name

    @property
    def weight_dtype(self) -> torch.dtype:
        """Data type of the weights that are trained."""
        return torch.float16 if self.name == "fp16" else torch.float32

    def cast_weights(self, module: nn.Module) -> None:
        """Bring the parameters of a module to ``weight_dtype``; buffers, which are not trained, stay as they are."""
        for parameter in module.parameters():
            parameter.data = parameter.data.to(self.weight_dtype)

    def autocast(self, device: torch.device | str) -> AbstractContextManager[object]:
        """Return the context in which forward passes run on a device."""
        if self.name != "amp":
            return nullcontext()
        kind = torch.device(device).type
        return torch.autocast(kind, dtype=torch.float16 if kind == "cuda" else torch.bfloat16)

    def gradient_scaler(self, device: torch.device | str) -> torch.amp.GradScaler:
        """Return the loss scaler; it passes everything through unless amp runs in float16."""
        kind = torch.device(device).type
        return torch.amp.GradScaler(kind, enabled=self.name == "amp" and kind == "cuda")
