import random
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from amu_raft.features.views import (
    FeatureBatches,
    ViewDataset,
    ViewsInMemory,
    derive_seed,
    parse_views,
    seeded_randomness,
)


class NoisyImages(Dataset[dict[str, Any]]):
    """Items that draw from all three global generators, as augmentations do."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> dict[str, Any]:
        drawn = [float(index), random.random(), float(np.random.rand()), float(torch.rand(()))]
        return {"img": torch.tensor(drawn, dtype=torch.float64), "label": index % 2}


def views(*, seed: int = 3, num_views: int = 4) -> ViewDataset:
    return ViewDataset(NoisyImages(), num_views=num_views, seed=seed)


def read(dataset: ViewDataset, order: list[int]) -> dict[int, Tensor]:
    return {index: dataset[index]["img"] for index in order}


def states() -> list[Any]:
    return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # type: ignore[index]


# ----------------------------------------------------------------------------------------------------- parse_views


def test_numbers_of_views() -> None:
    assert parse_views("online") is None
    assert [parse_views(text) for text in ("1", "8", "007")] == [1, 8, 7]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "Online", "8 ", "eight", "None"])
def test_other_numbers_of_views(text: str) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f'TRAIN.VIEWS must be "online" or a positive integer, got {text!r}')
    ):
        parse_views(text)


def test_superscript_digits() -> None:
    with pytest.raises(ValueError, match=r"TRAIN\.VIEWS must be"):
        parse_views("²")


# ----------------------------------------------------------------------------------------------------------- seeds


def test_seeds_are_the_same_on_every_machine() -> None:
    assert [derive_seed(7, 3, 5), derive_seed(-1)] == [2226340077, derive_seed(2**32 - 1)]


@given(parts=st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4))
def test_seeds_fit_every_generator(parts: list[int]) -> None:
    assert 0 <= derive_seed(*parts) < 2**32


def test_seeds_of_neighbours_differ() -> None:
    seeds = {derive_seed(seed, view, image) for seed in range(4) for view in range(10) for image in range(50)}
    assert len(seeds) == 4 * 10 * 50


def test_the_generators_stay_as_they_were() -> None:
    before = states()
    with seeded_randomness(5):
        inside = [random.random(), np.random.rand(), float(torch.rand(()))]
    assert states() == before
    with seeded_randomness(5):
        assert [random.random(), np.random.rand(), float(torch.rand(()))] == inside
    with pytest.raises(KeyError), seeded_randomness(6):
        random.random()
        raise KeyError
    assert states() == before


# ----------------------------------------------------------------------------------------------------- ViewDataset


def test_views_come_one_after_another() -> None:
    dataset = views()
    assert len(dataset) == 20
    found = read(dataset, list(range(20)))
    assert [int(found[index][0]) for index in range(20)] == [0, 1, 2, 3, 4] * 4
    assert [dataset[index]["label"] for index in range(5)] == [0, 1, 0, 1, 0]


def test_going_through_them_ends() -> None:
    assert len(list(views())) == 20  # type: ignore[call-overload]
    for index in (20, -1):
        with pytest.raises(IndexError, match=f"no view {index} of 20"):
            views()[index]


def test_every_view_of_every_image_differs() -> None:
    found = read(views(), list(range(20)))
    for column in (1, 2, 3):
        assert len({float(value[column]) for value in found.values()}) == 20


@given(order=st.permutations(range(20)))
def test_an_item_does_not_depend_on_the_order_of_reading(order: list[int]) -> None:
    found, expected = read(views(), order), read(views(), list(range(20)))
    assert all(torch.equal(found[index], expected[index]) for index in expected)


def test_an_item_depends_on_the_seed_but_not_on_the_number_of_views_or_the_global_state() -> None:
    expected = views()[7]["img"]
    assert not torch.equal(views(seed=4)[7]["img"], expected)
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    assert torch.equal(views(num_views=2)[7]["img"], expected)


def test_reading_leaves_the_generators_alone() -> None:
    before = states()
    views()[3]
    assert states() == before


def test_workers_change_nothing() -> None:
    batches = {
        workers: torch.cat([batch["img"] for batch in DataLoader(views(), 3, num_workers=workers)])
        for workers in (0, 2)
    }
    assert torch.equal(batches[0], batches[2])


# -------------------------------------------------------------------------------------------------- FeatureBatches


def batches(*, seed: int = 1, batch_size: int = 3, num_views: int = 2) -> FeatureBatches:
    """Seven images whose features tell view and image."""
    clip = torch.stack([torch.arange(7.0) + 100 * view for view in range(num_views)]).unsqueeze(2)
    features = {"clip": ViewsInMemory(clip), "aux": ViewsInMemory(-clip)}
    return FeatureBatches(features, torch.arange(7), num_views=num_views, batch_size=batch_size, seed=seed)


def epoch(loader: FeatureBatches, number: int) -> Iterator[dict[str, Tensor]]:
    loader.set_epoch(number)
    yield from loader


def order(loader: FeatureBatches, number: int) -> list[int]:
    return torch.cat([batch["label"] for batch in epoch(loader, number)]).tolist()


def test_an_epoch_shows_every_image_once_in_one_view() -> None:
    for number in range(5):
        found = list(epoch(batches(), number))
        assert [len(batch["label"]) for batch in found] == [3, 3, 1] and len(batches()) == 3
        labels, clip = torch.cat([batch["label"] for batch in found]), torch.cat([batch["clip"] for batch in found])
        assert sorted(labels.tolist()) == list(range(7))
        assert torch.equal(clip[:, 0], labels + 100.0 * (number % 2))
        assert torch.equal(torch.cat([batch["aux"] for batch in found]), -clip)


@pytest.mark.parametrize(("size", "count"), [(1, 7), (2, 4), (7, 1), (100, 1)])
def test_number_of_batches(size: int, count: int) -> None:
    loader = batches(batch_size=size)
    assert len(loader) == len(list(loader)) == count


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    expected = {number: order(batches(), number) for number in range(4)}
    assert len({tuple(labels) for labels in expected.values()}) == 4
    torch.manual_seed(123)
    reused = batches(batch_size=2, num_views=3)
    for number in (3, 1, 1, 0, 2):  # going back, repeating, other batches and other views
        assert order(reused, number) == expected[number]
    assert order(batches(seed=2), 0) != expected[0]


def test_batches_leave_the_generators_and_the_features_alone() -> None:
    loader, before = batches(), states()
    kept = {name: views.values.clone() for name, views in in_memory(loader).items()}
    list(epoch(loader, 1))
    assert states() == before
    assert all(torch.equal(views.values, kept[name]) for name, views in in_memory(loader).items())


def in_memory(loader: FeatureBatches) -> dict[str, ViewsInMemory]:
    found = {name: views for name, views in loader.features.items() if isinstance(views, ViewsInMemory)}
    assert found.keys() == {"clip", "aux"}
    return found


def test_views_in_memory_are_taken_by_view_and_image() -> None:
    values = torch.arange(24.0).view(2, 4, 3)
    found = ViewsInMemory(values).take(1, torch.tensor([3, 0, 3]))
    assert found.tolist() == [[21, 22, 23], [12, 13, 14], [21, 22, 23]]
