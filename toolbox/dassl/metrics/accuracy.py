"""Top-k accuracy."""

from collections.abc import Sequence

import torch
from torch import Tensor


def compute_accuracy(output: Tensor | Sequence[Tensor], target: Tensor, topk: Sequence[int] = (1,)) -> list[Tensor]:
    """Return how often the true class is among the k highest scores.

    Args:
        output: Scores, (N, C); of a tuple or list the first element counts.
        target: Labels, (N,).
        topk: The values of k, each at most C.

    Returns:
        One float tensor of shape (1,) per k, in percent.
    """
    scores = output if isinstance(output, Tensor) else output[0]
    ranked = scores.topk(max(topk), dim=1).indices  # (N, k)
    hits = ranked == target.view(-1, 1)
    return [hits[:, :k].sum().to(torch.float32).reshape(1) * (100.0 / len(target)) for k in topk]
