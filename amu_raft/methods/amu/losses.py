"""AMU's two losses."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class AMULoss(NamedTuple):
    """AMU's loss and its parts, scalars."""

    total: Tensor
    fused: Tensor
    aux: Tensor


def amu_loss(fused_logits: Tensor, aux_logits: Tensor, labels: Tensor, *, fused_weight: float) -> AMULoss:
    """Cross-entropy of the fused prediction and of the auxiliary one.

    Args:
        fused_logits: s, (N, C).
        aux_logits: s_aux as it enters the fusion, (N, C).
        labels: (N,).
        fused_weight: lambda, the share of the fused loss, in [0, 1].

    Raises:
        ValueError: If the share is outside [0, 1].

    Source:
        AMU-Tuning (CVPR 2024): lambda * CE(s, y) + (1 - lambda) * CE(s_aux, y).
    """
    if not 0 <= fused_weight <= 1:
        raise ValueError(f"the share of the fused loss must lie in [0, 1], got {fused_weight}")
    fused = F.cross_entropy(fused_logits.float(), labels)
    aux = F.cross_entropy(aux_logits.float(), labels)
    return AMULoss(fused_weight * fused + (1 - fused_weight) * aux, fused, aux)
