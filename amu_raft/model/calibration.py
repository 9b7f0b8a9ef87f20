"""One temperature for a model's logits, so that its probabilities say how often it is right."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from amu_raft.model.reliability import reliability

LIMITS = (0.05, 2000.0)
_HALVINGS = 60  # of the interval of log temperatures: beyond the last digit of a float64


class Temperature(NamedTuple):
    """What divides the logits before the softmax, and why it is not the best value for its images, or ""."""

    value: float
    note: str = ""


@torch.no_grad()
def fit_temperature(logits: Tensor, labels: Tensor) -> Temperature:
    """Find the temperature of the smallest mean cross-entropy, within ``LIMITS``.

    The cross-entropy is convex in 1 / temperature, so its slope changes sign at most once and halving finds the place.
    If every image is classified right, ever smaller temperatures would look better, and nothing is to be learned about
    how sure the model may be: then the temperature stays at 1.

    Args:
        logits: (N, C) of images that nothing was trained on.
        labels: (N,).

    Raises:
        ValueError: If there is no image, or a logit is not finite.

    Source:
        Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
    """
    if len(labels) == 0 or logits.dim() != 2 or len(logits) != len(labels):
        raise ValueError(f"logits (N, C) and labels (N,) with N >= 1 are wanted, got {tuple(logits.shape)}")
    logits, labels = logits.detach().double().cpu(), labels.cpu().long()
    if not torch.isfinite(logits).all():
        raise ValueError("a temperature cannot be fitted to logits that are not finite")
    if bool((logits.argmax(dim=1) == labels).all()):
        return Temperature(1.0, f"all {len(labels)} validation images are right: the temperature stays at 1")
    low, high = (torch.tensor(limit, dtype=torch.float64).log() for limit in LIMITS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        cooler = _slope(logits, labels, float((-middle).exp())) < 0  # the loss falls with 1 / temperature
        low, high = (low, middle) if cooler else (middle, high)
    temperature = float(high.exp())
    at_limit = min(abs(temperature / limit - 1) for limit in LIMITS) < 1e-6
    return Temperature(temperature, f"the temperature stops at its limit {temperature:.4g}" if at_limit else "")


def _slope(logits: Tensor, labels: Tensor, sharpness: float) -> float:
    """Derivative of the mean cross-entropy by 1 / temperature: expected logit minus the right one."""
    expected = ((logits * sharpness).softmax(dim=1) * logits).sum(dim=1)
    return float((expected - logits.gather(1, labels[:, None]).squeeze(1)).mean())


class Calibration(NamedTuple):
    """A temperature, what it was fitted on, and what it changes there.

    Attributes:
        temperature: What divides the logits.
        fitted_on: "validation", or None.
        images: How many.
        before: Expected calibration error without it, in [0, 1].
        after: The same with it.
        note: What is to be said, or "".
    """

    temperature: float = 1.0
    fitted_on: str | None = None
    images: int = 0
    before: float | None = None
    after: float | None = None
    note: str = ""

    @property
    def line(self) -> str:
        """What a run prints."""
        return (
            f"temperature {self.temperature:.3f} fitted on {self.images} validation images: calibration error "
            f"{100 * (self.before or 0):.1f}% before, {100 * (self.after or 0):.1f}% after"
            f"{f' ({self.note})' if self.note else ''}"
        )

    def record(self) -> dict[str, Any]:
        """Return what a model folder holds of it."""
        about = {"temperature": self.temperature, "fitted_on": self.fitted_on, "images": self.images}
        errors = {} if self.fitted_on is None else {"ece_before": self.before, "ece_after": self.after}
        return {**about, **errors, "note": self.note}


NOT_CALIBRATED = Calibration(note="no validation images of its own: the temperature stays at 1")


def calibration_of(logits: Tensor, labels: Tensor) -> Calibration:
    """Fit the temperature of logits (N, C) on validation images."""
    logits, labels = logits.detach().float().cpu(), labels.cpu()
    temperature, note = fit_temperature(logits, labels)
    before, after = expected_error(logits, labels), expected_error(logits / temperature, labels)
    return Calibration(temperature, "validation", len(labels), before, after, note)


def expected_error(logits: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error of softmax probabilities of logits (N, C), in [0, 1]."""
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    return reliability(confidence.numpy(), (predicted == labels).numpy()).ece
