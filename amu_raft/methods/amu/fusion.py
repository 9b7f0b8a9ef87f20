"""AMU's fusion: how much the auxiliary logits count for an image CLIP is undecided about.

Source: AMU-Tuning (CVPR 2024), logit bias and uncertainty fusion. Where the released code differs from the paper both
forms are here, by name; docs/fidelity.md has the comparison.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.backbones.text_classifier import zero_shot_logits as clip_logits
from amu_raft.methods.known_classes import KnownClasses

_MAX = torch.finfo(torch.float32).max
_EPS = torch.finfo(torch.float32).eps
_NOISE = 8 * _EPS  # spread of a constant row relative to its size: the rounding of a mean
# The released kurtosis form divides by this. It suits C = 1000 classes; a weight at C = 10 is about seven times larger.
_MOMENT_SCALE = 250.0


def standardize_logits(logits: Tensor) -> Tensor:
    """Standardise each row over the classes: minus its mean, over its unbiased standard deviation.

    Args:
        logits: (N, C) with C >= 2.

    Returns:
        (N, C) in float32; a constant row, for which the released code gives NaN, becomes zeros.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    _check_logits(logits)
    logits = logits.float()
    std, constant = _std(logits)
    return torch.where(constant, 0.0, (logits - logits.mean(dim=-1, keepdim=True)) / std)


def uncertainty_weight(zero_shot_logits: Tensor, *, kind: str, power: float) -> Tensor:
    """Weigh auxiliary logits by how undecided zero-shot CLIP is about each image.

    Args:
        zero_shot_logits: CLIP logits after the logit scale, (N, C) with C >= 2.
        kind: One of ``UNCERTAINTY_KINDS``. "kurtosis" is the paper's and does not depend on C; "none" switches
            weighting off; the others are the released forms on softmax probabilities.
        power: Exponent, no unit, >= 0; "var" and "none" ignore it.

    Returns:
        Weights (N, 1) in float32, finite, without gradient.

    Raises:
        ValueError: If the kind is unknown, the power negative or the shape wrong.

    Source:
        AMU-Tuning (CVPR 2024), uncertainty fusion, and its released code.
    """
    if kind not in UNCERTAINTY_KINDS:
        raise ValueError(f"unknown uncertainty kind {kind!r}; choose from {', '.join(UNCERTAINTY_KINDS)}")
    if not 0 <= power < math.inf:
        raise ValueError(f"uncertainty power must be >= 0 and finite, got {power}")
    _check_logits(zero_shot_logits)
    weights = UNCERTAINTY_KINDS[kind](zero_shot_logits.detach().float(), power)
    return weights.clamp(max=_MAX)


def fuse_logits(
    zero_shot_logits: Tensor, aux_logits: Tensor, *, fusion_alpha: float, kind: str = "none", power: float = 0.0
) -> Tensor:
    """Add weighted auxiliary logits to CLIP's: s = s0 + alpha * u(s0) * s_aux.

    Args:
        zero_shot_logits: s0, (N, C), after the logit scale.
        aux_logits: s_aux, (N, C).
        fusion_alpha: alpha, in logits per unit of ``aux_logits``.
        kind: Uncertainty kind of u, see ``uncertainty_weight``.
        power: Its exponent.

    Returns:
        Fused logits (N, C).
    """
    weight = uncertainty_weight(zero_shot_logits, kind=kind, power=power)
    return zero_shot_logits + weight * aux_logits * fusion_alpha


class AMULogits(NamedTuple):
    """CLIP's logits s0, auxiliary logits s_aux as they enter the fusion, and fused logits s, (N, C) each."""

    zero_shot: Tensor
    aux: Tensor
    fused: Tensor


def amu_logits(
    clip_features: Tensor,
    aux_features: Tensor,
    text_weights: Tensor,
    adapter: nn.Module,
    *,
    logit_scale: float,
    fusion_alpha: float,
    kind: str,
    power: float,
    standardize: bool = True,
    known: KnownClasses | None = None,
) -> AMULogits:
    """AMU's forward pass on features; neither argument is changed.

    Args:
        clip_features: Raw CLIP image features, (N, D).
        aux_features: Raw auxiliary features, (N, F).
        text_weights: Text classifier, (D, C).
        adapter: Maps unit auxiliary features (N, F) to (N, C), or to its own classes where ``known`` is given.
        logit_scale: CLIP's factor on similarities.
        fusion_alpha: alpha.
        kind: Uncertainty kind.
        power: Its exponent.
        standardize: Standardise auxiliary logits per row, as the released code does; the paper's form takes them as
            they are.
        known: Which of the C classes the adapter knows, if it was trained on others. An unknown class has no bias, and
            the standard deviation is that of the known ones.
    """
    zero_shot = clip_logits(clip_features, text_weights, logit_scale=logit_scale)
    raw = adapter(unit_rows(aux_features)).float()
    picked = raw if known is None else known.pick(raw)
    if standardize:
        # A single known class has nothing to stand out from.
        lone = known is not None and picked.shape[1] < 2
        picked = torch.zeros_like(picked) if lone else standardize_logits(picked)
    aux = picked if known is None else known.spread(picked)
    return AMULogits(zero_shot, aux, fuse_logits(zero_shot, aux, fusion_alpha=fusion_alpha, kind=kind, power=power))


def _kurtosis_weight(logits: Tensor, power: float) -> Tensor:
    """1 / kappa^power on the LOGITS; the population standard deviation makes kappa >= 1 and the weight at most 1."""
    magnitude = logits.abs().amax(dim=-1, keepdim=True)  # kurtosis ignores scale; sums of huge logits overflow
    logits = logits / torch.where(magnitude > 0, magnitude, 1.0)
    centred = logits - logits.mean(dim=-1, keepdim=True)
    reach = centred.abs().amax(dim=-1, keepdim=True)
    constant = reach <= _NOISE
    centred = centred / torch.where(constant, 1.0, reach)  # and fourth powers of small differences vanish
    variance = centred.square().mean(dim=-1, keepdim=True)
    kurtosis = centred.pow(4).mean(dim=-1, keepdim=True) / torch.where(constant, 1.0, variance).square()
    return torch.where(constant, 1.0, kurtosis).clamp(min=1.0).pow(-power)


def _moment_weight(logits: Tensor, power: float) -> Tensor:
    p = logits.softmax(dim=-1)
    std, constant = _std(p)
    z = (p - p.mean(dim=-1, keepdim=True)) / std
    # Equal probabilities have no tail at all: the smallest kurtosis there is stands for them.
    kurtosis = torch.where(constant, 1.0, z.pow(4).mean(dim=-1, keepdim=True))
    return (kurtosis / _MOMENT_SCALE).pow(-power)


def _entropy_weight(logits: Tensor, power: float) -> Tensor:
    p = logits.softmax(dim=-1)
    entropy = -torch.special.xlogy(p, p).sum(dim=-1, keepdim=True)  # x log x is 0 at 0, where the released code has NaN
    return torch.exp(power * entropy / math.log(logits.shape[-1]))


def _energy_weight(logits: Tensor, power: float) -> Tensor:
    p = logits.softmax(dim=-1)
    top = p.amax(dim=-1, keepdim=True)
    # The temperature 2 does not divide the maximum: the released form, kept because its figures come from it.
    energy = 2 * (((p - top) / 2).exp().sum(dim=-1, keepdim=True).log() + top)
    return energy.pow(-power)


def _max_weight(logits: Tensor, power: float) -> Tensor:
    return logits.softmax(dim=-1).amax(dim=-1, keepdim=True).pow(-power)


def _max_min_weight(logits: Tensor, power: float) -> Tensor:
    p = logits.softmax(dim=-1)
    return _inverse_gap(p.amax(dim=-1, keepdim=True) - p.amin(dim=-1, keepdim=True), power)


def _top5_weight(logits: Tensor, power: float) -> Tensor:
    if logits.shape[-1] < 5:
        raise ValueError(f"uncertainty kind 'top5' needs at least 5 classes, got {logits.shape[-1]}")
    p = logits.softmax(dim=-1).topk(5, dim=-1).values
    return _inverse_gap(p[:, :1] - p[:, 4:5], power)


def _inverse_gap(gap: Tensor, power: float) -> Tensor:
    """1 / gap^power; a gap of zero, infinite in the released code, counts as one rounding step."""
    return torch.where(gap > 0, gap, torch.full_like(gap, _EPS)).pow(-power)


def _var_weight(logits: Tensor, power: float) -> Tensor:
    return logits.softmax(dim=-1).std(dim=-1, keepdim=True)


def _no_weight(logits: Tensor, power: float) -> Tensor:
    return torch.ones_like(logits[:, :1])


UNCERTAINTY_KINDS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "kurtosis": _kurtosis_weight,
    "moment": _moment_weight,
    "entropy": _entropy_weight,
    "energy": _energy_weight,
    "max": _max_weight,
    "max-min": _max_min_weight,
    "top5": _top5_weight,
    "var": _var_weight,
    "none": _no_weight,
}


def _std(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unbiased std of each row (N, 1), and which rows are constant up to rounding; those get std 1."""
    std = rows.std(dim=-1, keepdim=True)
    constant = std <= _NOISE * rows.abs().amax(dim=-1, keepdim=True)
    return torch.where(constant, 1.0, std), constant


def _check_logits(logits: Tensor) -> None:
    if logits.dim() != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits must be (N, C) with C >= 2, got {tuple(logits.shape)}")
