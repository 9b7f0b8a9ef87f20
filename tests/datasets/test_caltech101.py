from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.caltech101 import Caltech101
from tests.datasets.miniatures.common import build_miniature

NAMES = ["face", "leopard", "motorbike", "accordion", "airplane", "car_side", "yin_yang"]


@pytest.mark.parametrize("split", [True, False])
def test_labels_follow_the_folders_and_not_their_new_names(
    split: bool, tmp_path: Path, make_cfg: Callable[..., Any]
) -> None:
    build_miniature("Caltech101", tmp_path, split=split)
    data = Caltech101(make_cfg(tmp_path))
    assert data.classnames == NAMES
    folders = {Path(item.impath).parent.name: item.classname for item in data.train_x or ()}
    assert folders["airplanes"] == "airplane" and folders["Faces"] == "face" and folders["car_side"] == "car_side"


def test_folders_that_are_no_classes(tmp_path: Path) -> None:
    folder = build_miniature("Caltech101", tmp_path, split=False)
    for name in ("BACKGROUND_Google", "Faces_easy"):
        assert list((folder / "101_ObjectCategories" / name).glob("*.jpg"))
    items = [item for part in Caltech101.new_split(folder) for item in part]
    assert len(items) == 9 * len(NAMES)
    assert not [item for item in items if "BACKGROUND" in item.impath or "easy" in item.impath]


def test_odd_halves(tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("Caltech101", tmp_path)
    assert Caltech101(make_cfg(tmp_path, subsample="base")).classnames == NAMES[:4]
    assert Caltech101(make_cfg(tmp_path, subsample="new")).classnames == NAMES[4:]


def test_an_empty_class_folder(tmp_path: Path) -> None:
    folder = build_miniature("Caltech101", tmp_path, split=False)
    (folder / "101_ObjectCategories" / "zebra").mkdir()
    with pytest.raises(ValueError, match=r"101_ObjectCategories has no images of 'zebra'"):
        Caltech101.new_split(folder)
