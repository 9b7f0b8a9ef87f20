import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from datasets.listed_item import listed_item
from datasets.validation import has_own_validation


def dataset(val: list[Path] | None, test: list[Path]) -> Any:
    items = [None if part is None else [listed_item(str(path), 0, "") for path in part] for part in (val, test)]
    return SimpleNamespace(val=items[0], test=items[1])


def test_images_of_its_own(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    assert has_own_validation(dataset([a], [b, c]))
    assert not has_own_validation(dataset([a, b], [b, c]))
    assert not has_own_validation(dataset([], [b])) and not has_own_validation(dataset(None, [b]))


def test_the_same_image_under_another_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "a").touch()
    assert not has_own_validation(dataset([tmp_path / "link" / "a"], [tmp_path / "real" / "a"]))
    assert not has_own_validation(dataset([tmp_path / "real" / ".." / "real" / "a"], [tmp_path / "real" / "a"]))


def test_equal_paths_need_no_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageNet has the same 50,000 in both."""
    monkeypatch.setattr(os.path, "realpath", None)
    paths = [tmp_path / "a", tmp_path / "b"]
    assert not has_own_validation(dataset(paths, paths))
