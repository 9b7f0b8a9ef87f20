"""Few images by hand: tasks, training features and validation images made of plain tensors."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from amu_raft.backbones.precision import Precision
from amu_raft.methods.contract import Method
from amu_raft.methods.given import Branches, Features, Task


def make_task(text_columns: Tensor, *, logit_scale: float = 100.0, classnames: Sequence[str] = ()) -> Task:
    """Return a task in float32 whose encoder gives vectors (N, D), from text columns (D, C)."""
    return Task(text_columns, logit_scale, {"clip": len(text_columns)}, Precision("fp32"), classnames)


class Shots:
    """Training features.

    Args:
        labels: (N,).
        views: Each feature in augmented passes, (V, N, ...) by name.
        plain: Each feature without augmentation, (N, ...); the first pass where it is not given.
    """

    def __init__(
        self, labels: Tensor, views: Mapping[str, Tensor], plain: Mapping[str, Tensor] | None = None, seed: int = 1
    ) -> None:
        self.labels = labels
        self.seed = seed
        self._views = views
        self._plain = {**{name: passes[0] for name, passes in views.items()}, **(plain or {})}

    def views(self, name: str, passes: int) -> Tensor:
        """Return all passes, which must be as many as a method asks for."""
        assert len(self._views[name]) == passes
        return self._views[name]

    def plain(self, name: str) -> Tensor:
        return self._plain[name]


class Images:
    """Validation images of a method."""

    def __init__(self, method: Method, features: Features, labels: Tensor) -> None:
        self.method = method
        self._features = features
        self.labels = labels

    @torch.no_grad()
    def __call__(self) -> tuple[Branches, Tensor]:
        return self.method.branches(self._features), self.labels

    def features(self) -> tuple[Features, Tensor]:
        return self._features, self.labels
