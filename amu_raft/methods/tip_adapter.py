"""Tip-Adapter and Tip-Adapter-F: the few images as a cache of keys that vote for their classes beside CLIP.

Source: Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification (ECCV 2022). The released code keeps the
epoch that is best on test images and prints the larger of two test accuracies; here the last epoch counts, or the best
one on validation images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.methods.contract import Method, unit
from amu_raft.methods.given import Branches, Features, Learning, Loss, Task, TrainingFeatures, Validation
from amu_raft.methods.grid_search import RULES, TUNE_CHOICES, accuracy_grid, choose_on_grid, even_steps
from amu_raft.methods.recipe import Recipe
from amu_raft.methods.registry import register
from amu_raft.methods.selection import Tuning
from amu_raft.methods.settings import MethodSettings, one_of, within


@dataclass(frozen=True)
class TipAdapterSettings(MethodSettings):
    """Settings with the released values for ImageNet.

    Attributes:
        alpha: Weight of the cache.
        beta: How sharply a key's vote falls with distance.
        augment_epoch: Augmented passes that keys are averaged over.
        tune: off; post_hoc: alpha and beta on validation images; kept: as chosen for the model that is evaluated.
        rule: "one_standard_error" keeps the values above unless others are better beyond chance; "first_best" is the
            released rule.
        scale_beta: Where the values of beta to try end; ``steps_beta`` says how many.
        scale_alpha: Where those of alpha end; ``steps_alpha`` says how many.
    """

    alpha: float = 1.17
    beta: float = 1.0
    augment_epoch: int = 10
    tune: str = "post_hoc"
    rule: str = "one_standard_error"
    scale_beta: float = 7.0
    steps_beta: int = 200
    scale_alpha: float = 3.0
    steps_alpha: int = 20

    def __post_init__(self) -> None:
        one_of(self, "tune", TUNE_CHOICES)
        one_of(self, "rule", RULES)
        for name in ("augment_epoch", "steps_beta", "steps_alpha"):
            within(self, name, 1)
        for name in ("beta", "scale_beta", "scale_alpha"):
            within(self, name, 0)


def cache_keys(views: Tensor) -> Tensor:
    """Return unit keys (N, D): the mean over raw features of augmented passes (V, N, D)."""
    return unit_rows(views.float().mean(dim=0))


def cache_logits(affinity: Tensor, values: Tensor, *, beta: float) -> Tensor:
    """Return the cache's votes (n, C): exp(-beta (1 - affinity)) of affinities (n, N), by one-hot values (N, C)."""
    votes: Tensor = torch.exp(-beta * (1 - affinity)) @ values
    return votes


def search(
    zero_shot: Tensor, affinity: Tensor, values: Tensor, labels: Tensor, axes: Sequence[Sequence[float]]
) -> Tensor:
    """Return the accuracy of every beta (outer) and alpha (inner) in percent."""

    def logits_of(beta: float) -> Callable[[float], Tensor]:
        votes = cache_logits(affinity, values, beta=beta)
        return lambda alpha: zero_shot + alpha * votes

    return accuracy_grid(logits_of, axes, labels)


@register
class TipAdapter(Method):
    """Tip-Adapter: logits s = s0 + alpha * exp(-beta (1 - f K')) V; nothing is trained."""

    Settings = TipAdapterSettings
    learns: ClassVar[Learning] = "closed_form"
    tensors: ClassVar[dict[str, str]] = {"keys": "N D", "values": "N C"}
    saved_as = "cache"
    chosen = ("beta", "alpha")

    keys: Tensor
    values: Tensor

    def start(self, training: TrainingFeatures) -> None:
        """Fill the cache; a class without images has no votes."""
        self.keys.data = cache_keys(training.views("clip", self.settings.augment_epoch)).to(self.keys.dtype)
        self.values = F.one_hot(training.labels.long(), self.num_classes).float()

    def branches(self, features: Features) -> Branches:
        """Zero-shot logits and those with the cache's votes."""
        return self._branches(features, **self.choices)

    def _branches(self, features: Features, *, beta: float, alpha: float) -> Branches:
        zero_shot, affinity = self.zero_shot(features), unit(features) @ self.keys.float().t()
        votes = self.spread(cache_logits(affinity, self.values, beta=beta))
        return {"zero_shot": zero_shot, "adapted": zero_shot + alpha * votes}

    @torch.no_grad()
    def choose(self, validation: Validation) -> Tuning | None:
        """Search beta and alpha on a grid, as released; by which rule the settings say."""
        features, labels = validation.features()
        zero_shot, affinity = self.zero_shot(features), unit(features) @ self.keys.float().t()
        of = self.settings
        axes = [even_steps(of.scale_beta, of.steps_beta), even_steps(of.scale_alpha, of.steps_alpha)]
        values = self.spread(self.values)
        tuning = choose_on_grid(
            self.chosen,
            axes,
            (of.beta, of.alpha),
            lambda grid: search(zero_shot, affinity, values, labels, grid),
            len(labels),
            of.rule,
        )
        return self.settle(tuning)


@register
class TipAdapterF(TipAdapter):
    """Tip-Adapter-F: the same with trained keys, which are not brought back to length 1."""

    recipe = Recipe(epochs=20, batch_size=256)
    learns = "gradient"

    def build(self, task: Task) -> None:
        """Make room for the keys, which the optimiser takes hold of."""
        self.keys = nn.Parameter(torch.zeros(0, len(task.text_columns)))
        self.register_buffer("values", torch.zeros(0, self.num_classes))

    def loss(self, features: Features, labels: Tensor) -> Loss:
        """Cross-entropy with the configured alpha and beta, whatever is chosen later."""
        logits = self._branches(features, beta=self.settings.beta, alpha=self.settings.alpha)["adapted"]
        return Loss(F.cross_entropy(logits, labels), logits)
