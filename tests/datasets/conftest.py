import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dassl.config import get_cfg_default
from dassl.data.datasets import Datum
from tests.empty_images import write_image

SIZES = {"ash": 12, "birch": 3, "cedar": 7, "dogwood": 20, "elm": 5}


@pytest.fixture
def make_cfg() -> Callable[..., Any]:
    def make(
        root: Path | str = "",
        *,
        shots: int = -1,
        seed: int = 1,
        subsample: str | None = None,
        validation: str | None = None,
    ) -> Any:
        cfg = get_cfg_default()
        cfg.DATASET.ROOT = str(root)
        cfg.DATASET.NUM_SHOTS = shots
        cfg.SEED = seed
        if subsample is not None:
            cfg.DATASET.SUBSAMPLE_CLASSES = subsample
        if validation is not None:
            cfg.DATASET.VALIDATION = validation
        cfg.freeze()
        return cfg

    return make


def write_pets(root: Path, sizes: dict[str, int] | None = None) -> Path:
    """Write a small OxfordPets folder whose classes are mixed in stored order; half of each class is train."""
    folder = root / "oxford_pets"
    split: dict[str, list[list[Any]]] = {"train": [], "val": [], "test": []}
    for label, (name, count) in enumerate((sizes or SIZES).items()):
        for part, number in (("train", count), ("val", max(1, count // 2)), ("test", 2)):
            for index in range(number):
                file = f"{part}/{name}_{index:02d}.jpg"
                write_image(folder / "images" / file)
                split[part].append([file, label, name])
    for rows in split.values():
        random.Random(7).shuffle(rows)
    (folder / "split_zhou_OxfordPets.json").write_text(json.dumps(split))
    return folder


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write_pets(tmp_path / "data")


@pytest.fixture
def items(tmp_path: Path) -> list[Datum]:
    """Five classes of different sizes, mixed."""
    rows = [
        Datum(impath=write_image(tmp_path / "items" / name / f"{index}.jpg"), label=label, domain=2, classname=name)
        for label, (name, count) in enumerate(SIZES.items())
        for index in range(count)
    ]
    random.Random(3).shuffle(rows)
    return rows


@pytest.fixture
def make_pets() -> Callable[..., Path]:
    return write_pets


@pytest.fixture
def make_image() -> Callable[[Path], str]:
    return write_image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test out of the user's cache folder."""
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
