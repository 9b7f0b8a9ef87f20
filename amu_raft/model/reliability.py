"""How far confidences can be trusted: accuracy by confidence, and the expected calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NUM_BINS = 15
_ROUNDING = 1e-4  # probabilities of half precision may end a little above 1


@dataclass(frozen=True)
class Reliability:
    """Images by confidence, in M bins of equal width.

    Attributes:
        edges: Limits of the bins in [0, 1], (M + 1,); a bin holds its upper limit, the first one 0 too.
        count: Images per bin, (M,).
        confidence: Their mean confidence in [0, 1], (M,); NaN for an empty bin.
        accuracy: The share of them that is right, in [0, 1], (M,); NaN for an empty bin.
        ece: Expected calibration error in [0, 1]: mean over the images of their bin's |accuracy - confidence|; NaN
            without images.
    """

    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    ece: float


def reliability(confidence: ArrayLike, correct: ArrayLike, num_bins: int = NUM_BINS) -> Reliability:
    """Compare confidences with how often the predictions were right.

    Args:
        confidence: Probability of the predicted class, in [0, 1], (N,).
        correct: Whether the prediction is right, (N,).
        num_bins: M.

    Raises:
        ValueError: If the shapes differ, a confidence is no probability or there is no bin.

    Source:
        Guo et al., On Calibration of Modern Neural Networks (ICML 2017), equations 2 to 5, M = 15 as there.
    """
    confidences, hits = np.asarray(confidence, dtype=np.float64), np.asarray(correct)
    if confidences.ndim != 1 or confidences.shape != hits.shape:
        raise ValueError(f"confidence and correct must be (N,) each, got {confidences.shape} and {hits.shape}")
    if num_bins < 1:
        raise ValueError(f"at least 1 bin is wanted, got {num_bins}")
    wrong = confidences[~((confidences >= 0) & (confidences <= 1 + _ROUNDING))]
    if wrong.size:
        raise ValueError(f"a confidence must lie in [0, 1], got {wrong[0]:g}")
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    bins = np.digitize(confidences.clip(max=1.0), edges[1:-1], right=True)  # (N,), right: the upper limit belongs to it
    count = np.bincount(bins, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bins, weights=confidences, minlength=num_bins) / count
        accuracy = np.bincount(bins, weights=hits.astype(np.float64), minlength=num_bins) / count
    filled = count > 0
    gaps = np.abs(accuracy - mean_confidence)[filled]
    ece = float((count[filled] * gaps).sum() / len(confidences)) if len(confidences) else float("nan")
    return Reliability(edges, count, mean_confidence, accuracy, ece)
