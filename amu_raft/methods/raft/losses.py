"""RAFT's comparison of vectors with texts, and its four losses."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from amu_raft.backbones.preprocess import unit_rows


class RegionLogits(NamedTuple):
    """What RAFT predicts: logits (N, C), (N, C) and (N, C + 1), and the unit class and background vectors (N, D)."""

    zero_shot: Tensor
    region: Tensor
    background: Tensor
    class_vectors: Tensor
    background_vectors: Tensor


def region_logits(
    clip_vectors: Tensor,
    class_vectors: Tensor,
    background_vectors: Tensor,
    text_features: Tensor,
    *,
    logit_scale: float,
) -> RegionLogits:
    """Compare frozen, class and background vectors with the texts.

    Args:
        clip_vectors: Frozen CLIP's pooled vectors v0, (N, D), any length.
        class_vectors: Class token of the region attention, (N, D).
        background_vectors: Background token, (N, D).
        text_features: (D, C + 1): unit class columns, last the background column.
        logit_scale: Factor on the similarities.
    """
    classes = text_features[:, :-1]
    zero_shot, class_unit, background_unit = (
        unit_rows(vectors) for vectors in (clip_vectors, class_vectors, background_vectors)
    )
    return RegionLogits(
        logit_scale * zero_shot @ classes,
        logit_scale * class_unit @ classes,
        logit_scale * background_unit @ text_features,
        class_unit,
        background_unit,
    )


class RAFTLoss(NamedTuple):
    """RAFT's loss and its parts, scalars."""

    total: Tensor
    difference: Tensor
    consistency: Tensor
    region: Tensor
    background: Tensor


def raft_loss(
    logits: RegionLogits,
    labels: Tensor,
    *,
    difference_weight: float,
    consistency_weight: float,
    region_temperature: float,
    background_temperature: float,
) -> RAFTLoss:
    """RAFT's four losses.

    Args:
        logits: From ``region_logits``.
        labels: (N,).
        difference_weight: lambda1, pushes class and background vectors apart.
        consistency_weight: lambda2, holds the class logits near CLIP's.
        region_temperature: tau1, divides the class logits, > 0.
        background_temperature: tau2, divides the background logits, > 0.

    Raises:
        ValueError: If a temperature is not positive.

    Source:
        RAFT (ICME 2024): lambda1 * Diff + lambda2 * Con + Cls + Bg.
    """
    if region_temperature <= 0 or background_temperature <= 0:
        raise ValueError(f"temperatures must be positive, got {region_temperature} and {background_temperature}")
    background_label = torch.full_like(labels, logits.background.shape[-1] - 1)
    difference = (logits.class_vectors * logits.background_vectors).sum(dim=-1).mean() - 1
    consistency = (logits.region - logits.zero_shot).abs().mean()
    region = F.cross_entropy(logits.region / region_temperature, labels)
    background = F.cross_entropy(logits.background / background_temperature, background_label)
    total = difference_weight * difference + consistency_weight * consistency + region + background
    return RAFTLoss(total, difference, consistency, region, background)
