"""Miniatures of all fifteen data sets, and the catalog entries that describe them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from datasets.catalog import Entry, read_catalog
from datasets.doctor import Finding, inspect
from tests.datasets.miniatures.common import build_miniature

CLASSES = {
    **{"ImageNet": 12, "Caltech101": 7, "OxfordPets": 6, "StanfordCars": 6, "OxfordFlowers": 8, "Food101": 6},
    **{"FGVCAircraft": 8, "SUN397": 7, "DescribableTextures": 6, "EuroSAT": 10, "UCF101": 6},
    **{"ImageNetV2": 12, "ImageNetSketch": 12, "ImageNetA": 6, "ImageNetR": 6},
}


def describe_miniature(entry: Entry) -> Entry:
    """Five training, two validation and two test images of each class."""
    smallest = {name: {"train": 5, "val": 2, "test": 2}[name] for name in entry.counts}
    number = CLASSES[entry.name]
    counts = {name: size * number for name, size in smallest.items()}
    return replace(entry, classes=number, counts=counts, min_per_class=smallest)


class Copy(NamedTuple):
    """A miniature that a test may damage."""

    entry: Entry
    root: Path
    folder: Path

    def inspect(self, *, deep: bool = False) -> Finding:
        return inspect(self.entry, self.root, deep=deep)


@pytest.fixture(scope="session")
def small_catalog() -> Mapping[str, Entry]:
    return {name: describe_miniature(entry) for name, entry in read_catalog().items()}


@pytest.fixture(scope="session")
def all_miniatures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root with all of them; only looked at."""
    root = tmp_path_factory.mktemp("miniatures")
    for name in CLASSES:
        build_miniature(name, root)
    return root


@pytest.fixture
def copy_of(all_miniatures: Path, small_catalog: Mapping[str, Entry], tmp_path: Path) -> Callable[[str], Copy]:
    def copy(name: str) -> Copy:
        entry = small_catalog[name]
        folder = shutil.copytree(all_miniatures / entry.directory, tmp_path / "data" / entry.directory)
        return Copy(entry, tmp_path / "data", folder)

    return copy
