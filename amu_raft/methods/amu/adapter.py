"""AMU's adapter: a bias-free linear classifier on auxiliary features, and how it starts."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amu_raft.backbones.preprocess import unit_rows

INITIALIZATIONS = ("class_mean", "released", "random")


class Adapter(nn.Module):
    """Linear classifier on auxiliary features, without bias.

    Its state dict is the released layout, {"fc.weight": (C, F)}.

    Args:
        weight: Initial weight (C, F); copied.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        classes, width = weight.shape
        self.fc = nn.Linear(width, classes, bias=False)
        with torch.no_grad():
            self.fc.weight.copy_(weight)

    def forward(self, aux_features: Tensor) -> Tensor:
        """Map unit auxiliary features (N, F) to raw auxiliary logits (N, C)."""
        logits: Tensor = self.fc(aux_features.to(self.fc.weight.dtype))
        return logits


def initial_weight(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    how: str = "class_mean",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the adapter's first weight (C, F) from few-shot auxiliary features.

    Args:
        features: Unit features (N, F).
        labels: (N,), integers below ``num_classes``.
        num_classes: C.
        how: "class_mean" averages each class; "released" divides every class sum by N / C, which is the mean for
            balanced classes only; "random" draws a uniform weight as torch's linear layers do.
        generator: Source of randomness for "random".

    Returns:
        (C, F) in float32, not re-normalised; the row of a class without images is zero ("random" apart).

    Raises:
        ValueError: If ``how`` is unknown, shapes do not match or a label is out of range.
    """
    if how not in INITIALIZATIONS:
        raise ValueError(f"unknown adapter initialisation {how!r}; choose from {', '.join(INITIALIZATIONS)}")
    if features.dim() != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"features (N, F) and labels (N,) do not match: {tuple(features.shape)}, {tuple(labels.shape)}"
        )
    if len(labels) == 0 or int(labels.min()) < 0 or int(labels.max()) >= num_classes:
        raise ValueError(f"labels must be present and lie in 0..{num_classes - 1}")
    features = features.float()
    if how == "random":
        bound = 1 / math.sqrt(features.shape[1])
        drawn = torch.rand(num_classes, features.shape[1], generator=generator)
        return ((2 * drawn - 1) * bound).to(features.device)
    members = F.one_hot(labels.long(), num_classes).to(features.dtype)  # (N, C)
    sums = members.t() @ features  # (C, F)
    if how == "released":
        divisor = members.new_full((num_classes,), len(labels) / num_classes)
    else:
        divisor = members.sum(dim=0).clamp(min=1)
    return sums / divisor.unsqueeze(1)


def average_views(raw_features: Tensor) -> Tensor:
    """Average raw features over augmented passes, (V, N, F) to unit rows (N, F)."""
    return unit_rows(raw_features.float().mean(dim=0))
