"""Augmented views: drawn once per image and view from their own seed, then cycled over the epochs."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from amu_raft.features.extraction import Features

ONLINE = "online"


def parse_views(value: str) -> int | None:
    """Read TRAIN.VIEWS: "online" is None, otherwise the number of cached views.

    Raises:
        ValueError: If the value is neither "online" nor a positive integer.
    """
    if value == ONLINE:
        return None
    if not (value.isascii() and value.isdigit()) or int(value) < 1:
        raise ValueError(f'TRAIN.VIEWS must be "online" or a positive integer, got {value!r}')
    return int(value)


def derive_seed(*parts: int) -> int:
    """Mix integers into one 32-bit seed, the same on every machine."""
    return int(np.random.SeedSequence([part & 0xFFFFFFFF for part in parts]).generate_state(1)[0])


def seed_generators(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators, those of all devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def seeded_randomness(seed: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's CPU generators within a block; outside they stay as they were."""
    saved = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(saved[0])
        np.random.set_state(saved[1])
        torch.set_rng_state(saved[2])


class ViewDataset(Dataset[dict[str, Any]]):
    """All views of all images, view after view: item v * N + i is view v of image i.

    The random numbers of an item depend on the seed, the view and the image alone, not on the order of reading or on
    the number of workers.

    Args:
        images: Data set whose items draw their augmentation from the global generators.
        num_views: How many views.
        seed: Seed of the run.
    """

    def __init__(self, images: Dataset[dict[str, Any]], *, num_views: int, seed: int) -> None:
        self.images = images
        self.num_views = num_views
        self.seed = seed

    def __len__(self) -> int:
        return self.num_views * len(self.images)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read an image in one view.

        Raises:
            IndexError: Beyond the last one, which ends a loop over the data set.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"no view {index} of {len(self)}")
        view, image = divmod(index, len(self.images))  # type: ignore[arg-type]
        with seeded_randomness(derive_seed(self.seed, view, image)):
            return self.images[image]


class Views(Protocol):
    """One feature of V views of N images, in memory or on disk."""

    def take(self, view: int, images: Tensor) -> Tensor:
        """Return the feature of some images (B,) in one view, (B, ...)."""


class ViewsInMemory:
    """One feature of V views of N images as a tensor (V, N, ...)."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def take(self, view: int, images: Tensor) -> Tensor:
        """Return the feature of some images (B,) in one view, (B, ...)."""
        return self.values[view][images]


class FeatureBatches:
    """Training batches from cached features: epoch e shows view e mod V of every image in an order of its own.

    The order depends on the seed and the epoch alone, so a resumed run goes on as the uninterrupted one would have.

    Args:
        features: V views of N images by name.
        labels: (N,).
        num_views: V.
        batch_size: Images per batch; the last batch of an epoch may be smaller.
        seed: Seed of the run.
    """

    def __init__(
        self, features: Mapping[str, Views], labels: Tensor, *, num_views: int, batch_size: int, seed: int
    ) -> None:
        self.features = features
        self.labels = labels
        self.num_views = num_views
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose view and order the next iteration gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Features]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, self.epoch))
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)
        view = self.epoch % self.num_views
        for chosen in order.split(self.batch_size):
            features = {name: views.take(view, chosen) for name, views in self.features.items()}
            yield {**features, "label": self.labels[chosen]}
