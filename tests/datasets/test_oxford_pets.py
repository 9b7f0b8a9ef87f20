import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.oxford_pets import OxfordPets


@pytest.fixture
def published(tmp_path: Path, make_image: Callable[[Path], str]) -> Path:
    """The files that the data set is published with, no split file: ten images of each of two breeds."""
    folder = tmp_path / "data" / "oxford_pets"
    lines = []
    for label, breed in ((1, "Abyssinian"), (2, "american_bulldog")):
        for number in range(10):
            make_image(folder / "images" / f"{breed}_{number}.jpg")
            lines.append(f"{breed}_{number} {label} 1 1")
    (folder / "annotations").mkdir()
    (folder / "annotations" / "trainval.txt").write_text("\n".join(lines[:5] + lines[10:15]) + "\n")
    (folder / "annotations" / "test.txt").write_text("\n".join(lines[5:10] + lines[15:]) + "\n")
    return folder


def test_the_split_is_made_once(published: Path, make_cfg: Callable[..., Any], capsys: Any) -> None:
    random.seed(1)
    made = OxfordPets(make_cfg(published.parent))
    assert "Saved split to" in capsys.readouterr().out
    assert made.classnames == ["abyssinian", "american_bulldog"]
    assert (len(made.train_x or ()), len(made.val or ()), len(made.test or ())) == (8, 2, 10)
    again = OxfordPets(make_cfg(published.parent))
    assert "Reading split from" in capsys.readouterr().out
    assert [item.impath for item in again.train_x or ()] == [item.impath for item in made.train_x or ()]
    assert made.templates == ("a photo of a {}, a type of pet.",)


def test_neither_split_nor_annotations(published: Path, make_cfg: Callable[..., Any]) -> None:
    (published / "annotations" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither .*split_zhou_OxfordPets\.json nor .*test\.txt exists"):
        OxfordPets(make_cfg(published.parent))


@pytest.mark.parametrize("line", ["Abyssinian_1 1", "Abyssinian 1 1 1", "Abyssinian_1 one 1 1"])
def test_damaged_annotations_are_named(line: str, published: Path, make_cfg: Callable[..., Any]) -> None:
    with (published / "annotations" / "trainval.txt").open("a") as stream:
        stream.write(line)
    with pytest.raises(ValueError, match=rf"trainval\.txt: '{line}' is not"):
        OxfordPets(make_cfg(published.parent))


def test_missing_images_are_named(published: Path, make_cfg: Callable[..., Any]) -> None:
    (published / "images" / "Abyssinian_3.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"Abyssinian_3\.jpg is missing .1 of the 10 images listed in .*trainval"
    ):
        OxfordPets(make_cfg(published.parent))
