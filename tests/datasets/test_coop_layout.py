import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.coop_layout import CoopDataset
from datasets.oxford_pets import OxfordPets


def test_paths_are_absolute(pets: Path, make_cfg: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pets.parent.parent)
    data = OxfordPets(make_cfg(pets.parent.name))
    assert data.dataset_dir == str(pets) and data.image_dir == str(pets / "images")
    assert all(Path(item.impath).is_absolute() for item in data.test or ())
    monkeypatch.setenv("HOME", str(pets.parent.parent))
    assert OxfordPets(make_cfg(f"~/{pets.parent.name}")).dataset_dir == str(pets)
    assert OxfordPets.dataset_dir == "oxford_pets"


def test_roots_that_are_not_there(pets: Path, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"DATASET.ROOT is not given; OxfordPets is read from ROOT/oxford_pets"):
        OxfordPets(make_cfg(""))
    with pytest.raises(FileNotFoundError, match=r"the data root .*nowhere does not exist"):
        OxfordPets(make_cfg(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="is a file, no folder"):
        OxfordPets(make_cfg(pets / "split_zhou_OxfordPets.json"))
    with pytest.raises(
        FileNotFoundError, match=r"OxfordPets needs the folder .*oxford_pets with images and split_zhou"
    ):
        OxfordPets(make_cfg(tmp_path))


def test_no_split_file_and_nothing_to_make_it_from(pets: Path, make_cfg: Callable[..., Any]) -> None:
    class Plain(CoopDataset):
        dataset_dir = "oxford_pets"
        split_file = "split_zhou_Plain.json"

    with pytest.raises(FileNotFoundError, match=r"no split file .*split_zhou_Plain\.json, and Plain has nothing"):
        Plain(make_cfg(pets.parent))


def test_an_empty_class_is_named(pets: Path, make_cfg: Callable[..., Any]) -> None:
    import json

    path = pets / "split_zhou_OxfordPets.json"
    split = json.loads(path.read_text())
    split["train"] = [row for row in split["train"] if row[2] != "birch"]
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError, match=r"split_zhou_OxfordPets\.json has no training image of class 'birch'"):
        OxfordPets(make_cfg(pets.parent))


def test_the_sample_folder_is_made(pets: Path, make_cfg: Callable[..., Any]) -> None:
    data = OxfordPets(make_cfg(pets.parent))
    assert Path(data.split_fewshot_dir).is_dir()
    shutil.rmtree(data.split_fewshot_dir)
    Path(data.split_fewshot_dir).touch()
    OxfordPets(make_cfg(pets.parent))  # a root that cannot be written to serves as well
