"""Pairwise distances between two sets of features."""

import torch
from torch import Tensor
from torch.nn import functional as F


def compute_distance_matrix(input1: Tensor, input2: Tensor, metric: str = "euclidean") -> Tensor:
    """Return the distance of every row of one matrix to every row of another.

    Args:
        input1: Features, (N, D).
        input2: Features, (M, D).
        metric: "euclidean", meaning the squared distance, or "cosine".

    Returns:
        Distances, (N, M).

    Raises:
        ValueError: If the metric is another, or an input is not a matrix of the same width.
    """
    metrics = {"euclidean": euclidean_squared_distance, "cosine": cosine_distance}
    if metric not in metrics:
        raise ValueError(f"metric must be one of {list(metrics)}, but got {metric}")
    if input1.dim() != 2 or input2.dim() != 2 or input1.shape[1] != input2.shape[1]:
        raise ValueError(f"Expected (N, D) and (M, D), but got {tuple(input1.shape)} and {tuple(input2.shape)}")
    return metrics[metric](input1, input2)


def euclidean_squared_distance(input1: Tensor, input2: Tensor) -> Tensor:
    """Return squared Euclidean distances, (N, M), between rows of (N, D) and (M, D); never below 0."""
    squares1 = input1.pow(2).sum(dim=1, keepdim=True)
    squares2 = input2.pow(2).sum(dim=1, keepdim=True).t()
    return torch.addmm(squares1 + squares2, input1, input2.t(), beta=1, alpha=-2).clamp_min(0)


def cosine_distance(input1: Tensor, input2: Tensor) -> Tensor:
    """Return one minus the cosine similarity, (N, M), between rows of (N, D) and (M, D)."""
    return 1 - F.normalize(input1, dim=1) @ F.normalize(input2, dim=1).t()
