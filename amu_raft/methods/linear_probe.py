"""Linear probes to compare with: how far do few images go without texts, or without any pretraining?

Both are scikit-learn's logistic regression on the images as they are evaluated, without augmentation; C is chosen on
validation images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.methods.contract import Method
from amu_raft.methods.given import Branches, Features, TrainingFeatures, Validation
from amu_raft.methods.grid_search import TUNE_CHOICES
from amu_raft.methods.registry import register
from amu_raft.methods.selection import Tuning, accuracy_percent, parse_values
from amu_raft.methods.settings import KEPT, MethodSettings, one_of, within

PIXEL_GRID = 16
_NEVER = -1e4  # logit of a class that the probe does not know


@dataclass(frozen=True)
class LinearProbeSettings(MethodSettings):
    """Settings.

    Attributes:
        inverse_regularization: C, where it is not chosen.
        tune: off; post_hoc: C on validation images; kept: as chosen for the model that is evaluated.
        tune_values: Values of C to try, from the strongest regularisation.
    """

    inverse_regularization: float = 1.0
    tune: str = "post_hoc"
    tune_values: str = "0.01, 0.1, 1, 10, 100"

    def __post_init__(self) -> None:
        one_of(self, "tune", TUNE_CHOICES)
        within(self, "inverse_regularization", 1e-12)
        parse_values(self, "tune_values", low=1e-12)


class GreyPixels:
    """Grey pixels of a small grid: what the images give away without any pretraining."""

    def identity(self) -> dict[str, Any]:
        """Name them; no weights stand behind."""
        return {"name": "grey pixels", "grid": PIXEL_GRID}

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return (N, PIXEL_GRID squared) of pixels (N, 3, H, W) in [0, 1]."""
        grey = pixels.mean(dim=1, keepdim=True)
        # The scans behind the bundled data sets have at most 12 x 12 pixels, so 16 x 16 loses nothing.
        return F.interpolate(grey, size=(PIXEL_GRID, PIXEL_GRID), mode="area").flatten(start_dim=1)


def fit_probe(rows: Tensor, labels: Tensor, num_classes: int, inverse_regularization: float) -> tuple[Tensor, Tensor]:
    """Return weight (D, C) and bias (C,) of logistic regression on rows (N, D) with labels (N,).

    Raises:
        ValueError: If the labels are all the same.
    """
    if len(labels.unique()) < 2:
        raise ValueError("a probe needs training images of two classes or more, there is one")
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=inverse_regularization, max_iter=5000).fit(rows.cpu().numpy(), labels.cpu().numpy())
    weight, bias = torch.zeros(rows.shape[1], num_classes), torch.full((num_classes,), _NEVER)
    columns, offsets = torch.from_numpy(found.coef_).float().t(), torch.from_numpy(found.intercept_).float()
    if len(found.classes_) == 2:  # one score stands for both
        columns, offsets = torch.cat([-columns, columns], dim=1) / 2, torch.cat([-offsets, offsets]) / 2
    weight[:, found.classes_], bias[found.classes_] = columns, offsets
    return weight.to(rows.device), bias.to(rows.device)


@register
class LinearProbe(Method):
    """Logistic regression on CLIP's unit image features."""

    Settings = LinearProbeSettings
    learns = "closed_form"
    tensors: ClassVar[dict[str, str]] = {"weight": "D C", "bias": "C"}
    saved_as = "probe"
    decides = "probe"
    chosen = ("inverse_regularization",)
    others = "the others are never answered"
    sees = "clip"

    weight: Tensor
    bias: Tensor

    def rows(self, features: Features) -> Tensor:
        """Return what the probe sees of each image, (N, D)."""
        return unit_rows(features["clip"])

    def start(self, training: TrainingFeatures) -> None:
        """Fit the probe with the configured C; the others are fitted where C is chosen."""
        self.shots = self.rows({self.sees: training.plain(self.sees)}), training.labels
        self._fit(self.settings.inverse_regularization)

    def _fit(self, inverse_regularization: float) -> None:
        self.choices["inverse_regularization"] = inverse_regularization
        self.weight, self.bias = fit_probe(*self.shots, self.num_classes, inverse_regularization)

    def branches(self, features: Features) -> Branches:
        """Zero-shot logits and the probe's log-probabilities; zero-shot decides where the probe knows no class."""
        zero_shot = self.zero_shot(features)
        if not self.num_known:
            return {"zero_shot": zero_shot, "probe": zero_shot}
        scores = self.rows(features).float() @ self.weight + self.bias
        unknown = 1 - self.spread(torch.ones_like(scores))
        # At small C the shares lie so close that the last digit of a float32 decides: it shall be a rounded one.
        shares = (self.spread(scores) + _NEVER * unknown).double().softmax(dim=1).float()
        return {"zero_shot": zero_shot, "probe": shares.clamp(min=torch.finfo(shares.dtype).tiny).log()}

    def choose(self, validation: Validation) -> Tuning | None:
        """Fit with every C and keep the best, the strongest regularisation on ties."""
        tried, accuracies = sorted(parse_values(self.settings, "tune_values")), []
        for value in tried:
            self._fit(value)
            branches, labels = validation()
            accuracies.append(accuracy_percent(branches["probe"], labels))
        place = accuracies.index(max(accuracies))
        self._fit(tried[place])
        axes, rule = {"inverse_regularization": tried}, "the first C with the highest accuracy"
        return Tuning(axes, torch.tensor(accuracies, dtype=torch.float64), (place,), len(labels), rule)

    @classmethod
    def settings_for_evaluation(
        cls, settings: Mapping[str, Any], result: Mapping[str, Any], *, same_data: bool
    ) -> dict[str, Any]:
        """Keep C: a probe that is evaluated has been fitted, and its images are not at hand."""
        found = result.get("tuning", {}).get("chosen", {})
        return {**found, "tune": KEPT if found else "off"}


@register
class PixelProbe(LinearProbe):
    """Logistic regression on grey pixels."""

    reads = ("clip", "pixels")
    readers: ClassVar[dict[str, Any]] = {"pixels": GreyPixels()}
    tensors: ClassVar[dict[str, str]] = {"weight": "P C", "bias": "C"}
    sees = "pixels"

    def rows(self, features: Features) -> Tensor:
        """Return grey pixels in [0, 1], (N, P)."""
        return features["pixels"]
