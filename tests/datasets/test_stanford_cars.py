from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from datasets.stanford_cars import StanfordCars
from tests.datasets.miniatures.common import build_miniature

NAMES = [
    "2000 AM General Hummer SUV",
    "2012 Acura RL Sedan",
    "2012 Audi TTS Coupe",
    "2012 BMW 1 Series Coupe",
    "2012 Ram C/V Cargo Van Minivan",
    "2012 smart fortwo Convertible",
]
TRAIN, TEST, META = "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat", "devkit/cars_meta.mat"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_miniature("StanfordCars", tmp_path, split=False)


@pytest.mark.parametrize("split", [True, False])
def test_the_year_comes_first(split: bool, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("StanfordCars", tmp_path, split=split)
    data = StanfordCars(make_cfg(tmp_path))
    assert data.classnames == NAMES
    for items, name in ((data.train_x, "cars_train"), (data.val, "cars_train"), (data.test, "cars_test")):
        assert {Path(item.impath).parent.name for item in items or ()} == {name}


def test_paths_in_a_new_split_start_at_the_folder(folder: Path, make_cfg: Callable[..., Any]) -> None:
    StanfordCars(make_cfg(folder.parent))
    text = (folder / "split_zhou_StanfordCars.json").read_text()
    assert '"cars_train/00003.jpg",\n            2,\n            "2012 Audi TTS Coupe"' in text


@pytest.mark.parametrize("name", [TRAIN, TEST, META])
def test_missing_and_damaged_files(name: str, folder: Path) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{Path(name).name} is damaged, no MATLAB file"):
        StanfordCars.new_split(folder)
    (folder / name).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"neither .*split_zhou_StanfordCars\.json nor .*{name} exists; get it:"
    ):
        StanfordCars.new_split(folder)


@pytest.mark.parametrize(
    "names", [np.array([1, 2, 3]), "Audi TTS Coupe 2012", np.array(["Audi 2012", " "], dtype=object)]
)
def test_names_that_are_none(names: Any, folder: Path) -> None:
    savemat(folder / META, {"class_names": names})
    with pytest.raises(ValueError, match=r"cars_meta\.mat does not hold the names of the classes, as 'class_names'"):
        StanfordCars.new_split(folder)


@pytest.mark.parametrize("label", [0, 7, 1.5])
def test_classes_that_are_none(label: float, folder: Path) -> None:
    table = np.zeros((1, 2), dtype=[("class", object), ("fname", object)])
    table[0, 0], table[0, 1] = (1, "00001.jpg"), (label, "00002.jpg")
    savemat(folder / TRAIN, {"annotations": table})
    with pytest.raises(ValueError, match=r"cars_train_annos\.mat does not hold file names and classes 1 to 6, as 'ann"):
        StanfordCars.new_split(folder)


def test_test_annotations_without_labels(folder: Path) -> None:
    """The development kit also has a list of the test images that does not tell their classes."""
    table = np.zeros((1, 2), dtype=[("bbox_x1", object), ("fname", object)])
    table[0, 0], table[0, 1] = (1, "00001.jpg"), (1, "00002.jpg")
    savemat(folder / TEST, {"annotations": table})
    with pytest.raises(ValueError, match=r"withlabels\.mat does not hold file names and classes 1 to 6"):
        StanfordCars.new_split(folder)


def test_a_missing_image(folder: Path) -> None:
    (folder / "cars_test" / "00004.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"cars_test/00004\.jpg is missing \(1 of the 12 images listed in"):
        StanfordCars.new_split(folder)
