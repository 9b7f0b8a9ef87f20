"""What an auxiliary encoder brings to CLIP: its superiority alone, and how it complements CLIP's predictions.

Source: AMU-Tuning (CVPR 2024), which ranks auxiliary features by these two, SUP and CMY.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Complementarity:
    """The diagnostics of one auxiliary encoder, one figure per seed in every list.

    Attributes:
        name: The encoder's.
        sup: SUP, accuracy of the auxiliary logits alone, in percent.
        cmy: CMY, mean over the images of 1 - cos(s0, s_aux), in [0, 2].
        cmy_centred: The same of logits from which each image's mean is taken off, in [0, 2].
        fused: Accuracy of the fused logits, in percent.
        zero_shot: Accuracy of CLIP's logits, in percent; it does not depend on the seed.
    """

    name: str
    sup: tuple[float, ...]
    cmy: tuple[float, ...]
    cmy_centred: tuple[float, ...]
    fused: tuple[float, ...]
    zero_shot: float


def complementarity(zero_shot_logits: ArrayLike, aux_logits: ArrayLike, *, centred: bool = False) -> float:
    """Return CMY: the mean over images of 1 - cos(s0, s_aux).

    CLIP's logits have a common offset (similarities of about 0.2 at a scale of 100), standardised auxiliary logits have
    none. The offset changes no probability but lengthens s0, which pulls CMY towards 1 whatever the encoder. Of centred
    logits it is 1 minus the correlation over the classes.

    Args:
        zero_shot_logits: s0, (N, C).
        aux_logits: s_aux, (N, C).
        centred: Take each row's mean off first.

    Returns:
        In [0, 2]: 0 for parallel logits, 1 for orthogonal ones. A row of zeros counts as orthogonal.

    Raises:
        ValueError: If the shapes differ, there are no images, or a logit is not finite.
    """
    first, second = (np.asarray(logits, dtype=np.float64) for logits in (zero_shot_logits, aux_logits))
    if first.ndim != 2 or first.shape != second.shape or 0 in first.shape:
        raise ValueError(f"zero-shot and auxiliary logits must be (N, C) each, got {first.shape} and {second.shape}")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("zero-shot or auxiliary logits are not finite")
    scale = np.abs(first).max(axis=1) * np.abs(second).max(axis=1)
    if centred:
        first, second = (logits - logits.mean(axis=1, keepdims=True) for logits in (first, second))
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    norms[norms <= _ROUNDING * scale] = 0.0  # what centring leaves of a constant row
    cosines = np.divide((first * second).sum(axis=1), norms, out=np.zeros_like(norms), where=norms > 0)
    return float((1 - cosines).mean())
