import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.oxford_pets import OxfordPets
from tests.datasets.miniatures.common import build_miniature


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


@pytest.mark.parametrize("line", ["Abyssinian_1 1", "Abyssinian 1 1 1", "Abyssinian_1 one 1 1", "Abyssinian_1 0 1 1"])
def test_damaged_annotations_are_named(line: str, published: Path, make_cfg: Callable[..., Any]) -> None:
    with (published / "annotations" / "trainval.txt").open("a") as stream:
        stream.write(line)
    with pytest.raises(ValueError, match=rf"trainval\.txt, line 11: '{line}' is not"):
        OxfordPets(make_cfg(published.parent))


def test_missing_images_are_named(published: Path, make_cfg: Callable[..., Any]) -> None:
    (published / "images" / "Abyssinian_3.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"Abyssinian_3\.jpg is missing .1 of the 10 images listed in .*trainval"
    ):
        OxfordPets(make_cfg(published.parent))


def test_the_real_sizes(tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    """A split file of the published one's sizes and smallest classes is read, looked after and sampled in seconds."""
    folder = tmp_path / "oxford_pets"
    (folder / "images").mkdir(parents=True)
    rows: dict[str, list[list[Any]]] = {}
    for part, total, smallest in (("train", 2944, 74), ("val", 736, 19), ("test", 3669, 88)):
        labels = [label for label in range(37) for _ in range(smallest)]
        labels += [label % 36 for label in range(total - len(labels))]
        rows[part] = [[f"{part}_{index}.jpg", label, f"breed {label}"] for index, label in enumerate(labels)]
        for path, _, _ in rows[part]:
            (folder / "images" / path).touch()
    (folder / "split_zhou_OxfordPets.json").write_text(json.dumps(rows))
    for shots, subsample, sizes in (
        (-1, "all", (2944, 736, 3669)),
        (16, "all", (592, 148, 3669)),
        (1, "base", (19, 19, None)),
        (1, "new", (18, 18, None)),
    ):
        data = OxfordPets(make_cfg(tmp_path, shots=shots, subsample=subsample))
        assert (len(data.train_x or ()), len(data.val or ())) == sizes[:2]
        assert sizes[2] in (None, len(data.test or ()))


def test_a_miniature_of_the_published_files(tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    """Breeds are in the order of their numbers, and what is no image in the folder of images does not matter."""
    build_miniature("OxfordPets", tmp_path, split=False)
    data = OxfordPets(make_cfg(tmp_path))
    assert data.classnames == [
        *("abyssinian", "american_bulldog", "american_pit_bull_terrier", "basset_hound", "beagle", "bengal")
    ]
    assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == (36, 6, 12)


def test_annotations_that_are_no_text(published: Path) -> None:
    (published / "annotations" / "test.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"test\.txt is no text file"):
        OxfordPets.new_split(published)
