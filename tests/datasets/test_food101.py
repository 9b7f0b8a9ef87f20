from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.food101 import Food101
from tests.datasets.miniatures.common import build_miniature

NAMES = ["apple_pie", "baby_back_ribs", "beef_carpaccio", "ice_cream", "macaroni_and_cheese", "waffles"]


@pytest.mark.parametrize("split", [True, False])
def test_names_keep_their_underscores(split: bool, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("Food101", tmp_path, split=split)
    data = Food101(make_cfg(tmp_path))
    assert data.classnames == NAMES
    assert all(Path(item.impath).parent.name == item.classname for item in data.test or ())


def test_the_lists_of_the_archive_are_not_needed(tmp_path: Path) -> None:
    folder = build_miniature("Food101", tmp_path, split=False)
    expected = Food101.new_split(folder)
    for path in (folder / "meta").iterdir():
        path.unlink()
    again = Food101.new_split(folder)
    assert [item.impath for item in again.test] == [item.impath for item in expected.test]


def test_a_folder_of_images_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "food-101").mkdir()
    (tmp_path / "food-101" / "images").touch()
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*images"):
        Food101.new_split(tmp_path / "food-101")
