"""Frozen features of the training images, as methods ask for them."""

from typing import Any

from torch import Tensor

from amu_raft.features.frozen import FrozenEncoders, FrozenFeatures
from amu_raft.features.views import derive_seed


class TrainingFeatures:
    """Features of augmented and of plain training images, from the store.

    Args:
        frozen: Encoders and store.
        augmented: The toolbox's wrapper around the training images with the training transform.
        plain: The same images with the transform of the evaluation.
        seed: Of the run.
        num_views: Cached views that training will use, of which a method's passes are the first; None if none.
    """

    def __init__(self, frozen: FrozenEncoders, augmented: Any, plain: Any, *, seed: int, num_views: int | None) -> None:
        self.frozen = frozen
        self.augmented = augmented
        self.images = plain
        self.num_views = num_views
        self.run_seed = seed

    @property
    def seed(self) -> int:
        """Seed for what a method draws at its start."""
        return derive_seed(self.run_seed)

    @property
    def labels(self) -> Tensor:
        """Labels of the images, (N,), on the encoders' device."""
        return self.frozen.labels_of(self.augmented)

    def views(self, name: str, passes: int) -> Tensor:
        """Return a feature of augmented passes over the images, (passes, N, ...), as it is encoded."""
        stored = self.views_of(max(passes, self.num_views or 1), name)
        count = len(stored.labels_of_images)
        found: Tensor = stored.load(name, passes * count).unflatten(0, (passes, count))
        return found

    def plain(self, name: str) -> Tensor:
        """Return a feature of the images as they are evaluated, (N, ...)."""
        return self.frozen.features_of(self.images, title="encode training images", names=[name]).load(name)

    def views_of(self, num_views: int, *names: str) -> FrozenFeatures:
        """Return stored features of a number of views; of all names if none is given."""
        title = f"encode {num_views} views"
        chosen = names or None
        return self.frozen.views_of(self.augmented, num_views=num_views, seed=self.run_seed, title=title, names=chosen)
