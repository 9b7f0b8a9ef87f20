"""GDA: Gaussian discriminant analysis on CLIP's features, in closed form, added to zero-shot CLIP.

Source: A Hard-to-Beat Baseline for Training-free CLIP-based Adaptation (ICLR 2024).
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from amu_raft.methods.contract import Method, unit
from amu_raft.methods.given import Branches, Features, TrainingFeatures, Validation
from amu_raft.methods.grid_search import RULES, TUNE_CHOICES, choose_on_grid
from amu_raft.methods.registry import register
from amu_raft.methods.selection import Tuning, accuracy_percent, parse_values, surface
from amu_raft.methods.settings import MethodSettings, one_of, within

UNSEEN = ("zero_shot", "neighbours")
_NO_SCATTER = 1e-10  # of unit vectors: the rounding of float32 is a hundred times smaller


@dataclass(frozen=True)
class GDASettings(MethodSettings):
    """Settings.

    Attributes:
        alpha: Weight of the classifier; the released code has no default but 0.1 where nothing is right.
        augment_epoch: Augmented passes; every one is a sample.
        tune: off; post_hoc: alpha on validation images; kept: as chosen for the model that is evaluated.
        rule: "one_standard_error" keeps alpha unless another is better beyond chance; "first_best" is released.
        tune_alphas: Values to try, the released ones.
        unseen: What classes get that have no images: "zero_shot" nothing; "neighbours", as released, a classifier
            from the training images nearest to their texts.
    """

    alpha: float = 1.0
    augment_epoch: int = 10
    tune: str = "post_hoc"
    rule: str = "one_standard_error"
    tune_alphas: str = "0.0001, 0.001, 0.01, 0.1, 1, 10, 100"
    unseen: str = "zero_shot"

    def __post_init__(self) -> None:
        one_of(self, "tune", TUNE_CHOICES)
        one_of(self, "rule", RULES)
        one_of(self, "unseen", UNSEEN)
        within(self, "augment_epoch", 1)
        parse_values(self, "tune_alphas")


def shrunk_inverse(scatter: Tensor, count: int) -> Tensor:
    """Return D (scatter + trace(scatter) / count I)^-1 of a scatter matrix (D, D); zeros where there is no scatter."""
    width, trace = len(scatter), torch.trace(scatter) / count
    if trace <= _NO_SCATTER:  # one image of each class in one pass
        return torch.zeros_like(scatter)
    factor = torch.linalg.cholesky(scatter + trace * torch.eye(width, dtype=scatter.dtype, device=scatter.device))
    return width * torch.cholesky_inverse(factor)


def gda_classifier(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return weight (D, C) and bias (C,) from unit features (n, D) and labels (n,); classes count alike."""
    rows, members = features.double(), F.one_hot(labels.long(), num_classes).double()
    means = (members.t() @ rows) / members.sum(dim=0).clamp(min=1)[:, None]
    centred = rows - means[labels]
    return _weights(shrunk_inverse(centred.t() @ centred, max(len(rows) - 1, 1)), means)


def unseen_classifier(base: Tensor, texts: Tensor, *, neighbours: int = 64, copies: int = 16) -> tuple[Tensor, Tensor]:
    """Return weight (D, c) and bias (c,) of classes that have texts (D, c) but no images, from unit features (n, D).

    A class stands for its nearest images and some copies of its text; the covariance is taken around the text.
    """
    base, texts = base.double(), texts.double()
    count = min(neighbours, len(base))
    means, inverses = [], []
    for text in texts.t():
        near = base[(base @ text).topk(count).indices]
        means.append((near.sum(dim=0) + copies * text) / (count + copies))
        inverses.append(shrunk_inverse((near - text).t() @ (near - text), max(count - 1, 1)))
    return _weights(torch.stack(inverses).mean(dim=0), torch.stack(means))


def _weights(inverse: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
    weight = inverse @ means.t()
    bias = -math.log(len(means)) - (means * weight.t()).sum(dim=1) / 2
    return weight.float(), bias.float()


@register
class GDA(Method):
    """GDA: logits s = s0 + alpha * (f W + b)."""

    Settings = GDASettings
    learns = "closed_form"
    tensors: ClassVar[dict[str, str]] = {"weight": "D C", "bias": "C", "shots": "N D"}
    saved_as = "classifier"
    chosen = ("alpha", "unseen")

    weight: Tensor
    bias: Tensor
    shots: Tensor

    def start(self, training: TrainingFeatures) -> None:
        """Solve for the classifier; every pass of every image is a sample."""
        views = training.views("clip", self.settings.augment_epoch)
        rows = unit({"clip": views.flatten(0, 1)})
        self.weight, self.bias = gda_classifier(rows, training.labels.repeat(len(views)), self.num_classes)
        self.shots = rows[: len(training.labels)]

    def branches(self, features: Features) -> Branches:
        """Zero-shot logits and the sum."""
        zero_shot = self.zero_shot(features)
        return {"zero_shot": zero_shot, "adapted": zero_shot + self.choices["alpha"] * self._added(features)}

    def _added(self, features: Features) -> Tensor:
        """Return the classifier's logits, (N, C)."""
        rows = unit(features)
        added = self.spread(rows @ self.weight + self.bias)
        if self.known is not None and self.choices["unseen"] == "neighbours" and self.num_known < self.num_classes:
            unseen = torch.ones(self.num_classes, dtype=torch.bool, device=rows.device)
            unseen[self.known.labels.to(rows.device)] = False
            weight, bias = unseen_classifier(self.shots, self.text_columns[:, unseen])
            added[:, unseen] = rows @ weight + bias
        return added

    def choose(self, validation: Validation) -> Tuning | None:
        """Choose alpha."""
        features, labels = validation.features()
        zero_shot, added = self.zero_shot(features), self._added(features)
        tuning = choose_on_grid(
            ("alpha",),
            [parse_values(self.settings, "tune_alphas")],
            [self.settings.alpha],
            lambda axes: surface(axes, lambda alpha: accuracy_percent(zero_shot + alpha * added, labels)),
            len(labels),
            self.settings.rule,
        )
        return self.settle(tuning)
