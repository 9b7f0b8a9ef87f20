from pathlib import Path

import pytest

from datasets.wnid_folders import list_images, require_images_of_each, scan_classes


def test_what_counts_as_an_image(tmp_path: Path) -> None:
    images = ["b.JPEG", "a.jpeg", "c.jpg", "10.png", "2.png"]
    for name in [*images, ".d.jpg", "._a.jpeg", "Thumbs.db", "README.txt", "e.jpg.part", "jpeg"]:
        (tmp_path / name).touch()
    assert list_images(tmp_path) == ["10.png", "2.png", "a.jpeg", "b.JPEG", "c.jpg"]


def test_class_folders_and_what_lies_beside_them(tmp_path: Path) -> None:
    for name in ("n02", "n01", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "n03").symlink_to(tmp_path / "n01")
    for name in ("README.txt", "a.JPEG", ".b.JPEG"):
        (tmp_path / name).touch()
    assert scan_classes(tmp_path) == (["n01", "n02", "n03"], 1)


def test_classes_without_images_are_named(tmp_path: Path) -> None:
    require_images_of_each({"n01": ["a.JPEG"]}, tmp_path)
    with pytest.raises(ValueError, match=r"no images in 'n02', 'n03' of .*; accepted endings are \.jpg \.jpeg .*\.png"):
        require_images_of_each({"n01": ["a.JPEG"], "n02": [], "n03": []}, tmp_path)
