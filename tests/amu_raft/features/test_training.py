from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from amu_raft.features.frozen import FrozenEncoders, LoaderSettings
from amu_raft.features.pictures import Pictures
from amu_raft.features.store import FeatureStore
from amu_raft.features.training import TrainingFeatures
from amu_raft.features.views import ViewDataset, derive_seed

CPU = torch.device("cpu")
IDENTITY = {"name": "grey", "sha256": "0" * 64, "precision": "fp32"}
GREY = [10, 20, 30, 40, 50]
LABELS = [2, 0, 1, 0, 2]


class Grey:
    """A transform: the grey of a picture, twice two times."""

    def __call__(self, picture: Image.Image) -> Tensor:
        return torch.full((3, 2, 2), float(np.asarray(picture).mean()))


class Noisy(Grey):
    """An augmentation: a random number is added."""

    def __call__(self, picture: Image.Image) -> Tensor:
        return super().__call__(picture) + torch.rand(1)


class Encoder:
    """Two features told by hand, and how many images it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[str]]] = []

    def __call__(self, images: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        self.asked.append((len(images), sorted(names)))
        features = {"clip": images[:, :1, 0, 0], "maps": images}
        return {name: features[name] for name in names}


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def frozen(encoder: Encoder, tmp_path: Path) -> FrozenEncoders:
    identities = {"clip": IDENTITY, "maps": IDENTITY}
    loader = LoaderSettings(100, 0, pin_memory=False)
    return FrozenEncoders(encoder, identities, device=CPU, store=FeatureStore(tmp_path / "store"), loader=loader)


def features(frozen: FrozenEncoders, *, num_views: int | None = None, seed: int = 4) -> TrainingFeatures:
    images = [np.full((2, 2, 3), grey, np.uint8) for grey in GREY]
    augmented, plain = (Pictures(images, LABELS, transform) for transform in (Noisy(), Grey()))
    return TrainingFeatures(frozen, augmented, plain, seed=seed, num_views=num_views)


def test_plain_images_and_labels(frozen: FrozenEncoders, encoder: Encoder) -> None:
    training = features(frozen)
    assert training.plain("clip").flatten().tolist() == GREY and training.labels.tolist() == LABELS
    assert training.plain("maps").shape == (5, 3, 2, 2)
    assert encoder.asked == [(5, ["clip"]), (5, ["maps"])]  # what is not asked for is not encoded


@pytest.mark.parametrize("num_views", [None, 1, 3, 4])
def test_passes_are_the_first_views_of_training(
    num_views: int | None, frozen: FrozenEncoders, encoder: Encoder
) -> None:
    training = features(frozen, num_views=num_views)
    found = training.views("clip", 3)
    views = ViewDataset(training.augmented, num_views=3, seed=4)
    expected = torch.stack([views[place]["img"][0, 0, 0] for place in range(15)]).view(3, 5, 1)
    assert torch.equal(found, expected) and not torch.equal(found[0], found[1])
    assert encoder.asked == [(5 * max(num_views or 1, 3), ["clip"])]


def test_what_training_uses_is_encoded_once(frozen: FrozenEncoders, encoder: Encoder) -> None:
    training = features(frozen, num_views=4)
    first = training.views("clip", 2)
    stored = training.views_of(4)
    assert encoder.asked == [(20, ["clip"]), (20, ["maps"])]
    assert torch.equal(stored.load("clip").view(4, 5, 1)[:2], first) and set(stored.entries) == {"clip", "maps"}
    assert set(training.views_of(4, "maps").entries) == {"maps"} and len(encoder.asked) == 2
    assert training.views("maps", 1).shape == (1, 5, 3, 2, 2)


def test_the_seed_of_the_run_decides(frozen: FrozenEncoders) -> None:
    one, again, other = (features(frozen, seed=seed) for seed in (4, 4, 5))
    assert one.seed == again.seed == derive_seed(4) != other.seed
    assert torch.equal(one.views("clip", 1), again.views("clip", 1))
    assert not torch.equal(one.views("clip", 1), other.views("clip", 1))
    assert torch.equal(one.plain("clip"), other.plain("clip"))
