import json
import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from datasets import imagenet_index
from datasets.imagenet_index import read_index
from datasets.listed_item import listed_item
from datasets.wnid_folders import list_images
from tests.datasets.miniatures.imagenet import WNIDS, write_imagenet

Index = dict[str, dict[str, list[str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_imagenet(tmp_path / "data")


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    """What is not expected by a test is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def listed(folder: Path) -> Index:
    """What lies in the folders, by other means than the index."""
    return {
        part: {wnid: sorted(path.name for path in (folder / "images" / part / wnid).glob("*.JPEG")) for wnid in WNIDS}
        for part in ("train", "val")
    }


def change(path: Path, *, text: str | None = None) -> None:
    """Add a file, or remove it; folders' times may be too coarse to show it at once."""
    path.unlink() if text is None else path.write_text(text)
    later = path.parent.stat().st_mtime_ns + 10**9
    os.utime(path.parent, ns=(later, later))


# ------------------------------------------------------------------ the listing


def test_every_image_is_listed_and_nothing_else(folder: Path) -> None:
    before = listed(folder)
    for name in ("._n01440764_8.JPEG", "Thumbs.db", "n01440764_8.JPEG.part", ".hidden.JPEG"):
        (folder / "images/train/n01440764" / name).write_text("no image")
    (folder / "images/train/.ipynb_checkpoints").mkdir()
    (folder / "images/val/README.txt").write_text("a note")
    assert read_index(folder) == before
    assert list(read_index(folder)["train"]) == sorted(WNIDS)


def test_a_flat_validation_folder_is_named_with_the_fix(tmp_path: Path) -> None:
    folder = write_imagenet(tmp_path / "flat", flat=True)
    with pytest.raises(ValueError, match=r"images/val has 24 images that are not in folders named by") as caught:
        read_index(folder)
    assert f"python -m datasets.prepare ImageNet --root {tmp_path / 'flat'} " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_half_sorted_validation_folder_is_refused(folder: Path) -> None:
    image = next((folder / "images/val/n01440764").iterdir())
    shutil.copy(image, folder / "images/val" / image.name)
    with pytest.raises(ValueError, match="images/val has 1 images that are not in folders"):
        read_index(folder)


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_missing_part(part: str, folder: Path) -> None:
    shutil.rmtree(folder / "images" / part)
    with pytest.raises(
        FileNotFoundError, match=rf"ImageNet needs .*images/{part} with a folder of images for each wnid"
    ):
        read_index(folder)
    (folder / "images" / part).mkdir()
    (folder / "images" / part / "n01440764.tar").write_text("not unpacked")
    with pytest.raises(ValueError, match=rf"images/{part} has no folders named by wnids; python -m datasets\.prepare"):
        read_index(folder)


def test_parts_of_different_classes(folder: Path) -> None:
    shutil.rmtree(folder / "images/val/n02007558")
    (folder / "images/train/n09999999").mkdir()
    with pytest.raises(
        ValueError, match=r"train/ and val/ differ in the class folders 'n02007558', 'n09999999'; python"
    ):
        read_index(folder)


@pytest.mark.parametrize("part", ["train", "val"])
def test_an_empty_class_is_named(part: str, folder: Path) -> None:
    shutil.rmtree(folder / "images" / part / "n02007558")
    (folder / "images" / part / "n02007558").mkdir()
    with pytest.raises(ValueError, match=rf"no images in 'n02007558' of .*images/{part}; accepted endings are \.jpg"):
        read_index(folder)
    assert not (folder / "preprocessed.json").exists()


# ------------------------------------------------------------------ the kept list


@pytest.fixture
def count_listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every class folder that is listed."""
    seen: list[str] = []

    def count(folder: Path) -> list[str]:
        seen.append(folder.name)
        return list_images(folder)

    monkeypatch.setattr(imagenet_index, "list_images", count)
    return seen


def test_the_second_start_lists_nothing(
    folder: Path, count_listings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = read_index(folder)
    assert len(count_listings) == 24
    assert f"Saving the list of images to {folder / 'preprocessed.json'}\n" in capsys.readouterr().out
    assert read_index(folder) == first == listed(folder)
    assert len(count_listings) == 24
    assert capsys.readouterr().out == f"Reading the list of images from {folder / 'preprocessed.json'}\n"
    assert len((folder / "preprocessed.json").read_text().splitlines()) < 120  # a line for each class, not each image


@pytest.mark.parametrize("what", ["added image", "removed image", "added class", "removed class"])
def test_a_changed_folder_is_listed_again(what: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_index(folder)
    if what == "added image":
        change(folder / "images/val/n01440764/ILSVRC2012_val_00049999.JPEG", text="image")
    elif what == "removed image":
        change(folder / "images/train/n01440764/n01440764_9.JPEG")
    for part in ("train", "val"):
        if what == "removed class":
            shutil.rmtree(folder / "images" / part / "n01440764")
        elif what == "added class":
            shutil.copytree(folder / "images" / part / "n01440764", folder / "images" / part / "n00000001")
    capsys.readouterr()
    index = read_index(folder)
    assert "preprocessed.json is out of date: the class folders" in capsys.readouterr().out
    wnids = sorted(path.name for path in (folder / "images/train").iterdir())
    assert list(index["train"]) == list(index["val"]) == wnids
    for part, listing in index.items():
        for wnid, names in listing.items():
            assert names == sorted(path.name for path in (folder / "images" / part / wnid).iterdir())
    assert read_index(folder) == index
    assert "Reading the list" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("", "damaged"),
        ('{"format": 1', "damaged"),
        ("[]", "its format is not 1"),
        ({"format": 7}, "its format is not 1"),
        ({"train": None}, ""),
        ({"val": {}}, "do not belong together"),
        ({"changed": {"train": {}}}, ""),
        ({"train": {"n01440764": 3}}, ""),
        ({"train": {"n01440764": "a.JPEG//b.JPEG"}}, "an image without a name"),
    ],
)
def test_a_damaged_list_is_made_again(damage: Any, reason: str, folder: Path) -> None:
    expected = read_index(folder)
    path = folder / "preprocessed.json"
    good = path.read_text()
    path.write_text(damage if isinstance(damage, str) else json.dumps(json.loads(good) | damage))
    with pytest.warns(UserWarning, match=rf"preprocessed\.json is not used and is made again: .*{reason}"):
        assert read_index(folder) == expected
    assert path.read_text() == good


def test_where_nothing_can_be_written_nothing_is_kept(folder: Path) -> None:
    (folder / "preprocessed.json").mkdir()  # as unwritable for root as for others
    with pytest.warns(UserWarning, match=r"the list of images is not kept: .*preprocessed\.json cannot be written"):
        assert read_index(folder) == listed(folder)
    assert sorted(path.name for path in folder.iterdir() if "partial" in path.name) == []


def test_a_moved_folder_keeps_its_list(folder: Path, count_listings: list[str]) -> None:
    expected = read_index(folder)
    moved = folder.parent.rename(folder.parent.with_name("moved")) / "imagenet"
    assert read_index(moved) == expected and len(count_listings) == 24


# ------------------------------------------------------------------ CoOp's list of images


def write_pickle(folder: Path, index: Index, *, root: str = "/elsewhere/imagenet") -> None:
    content = {
        name: [
            listed_item(f"{root}/images/{part}/{wnid}/{image}", label, "any name")
            for label, (wnid, images) in enumerate(index[part].items())
            for image in images
        ]
        for part, name in (("train", "train"), ("val", "test"))
    }
    (folder / "preprocessed.pkl").write_bytes(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))


def shuffled(index: Index) -> Index:
    """The order of a listing that was not sorted: classes sorted, images not."""
    return {
        part: {wnid: images[1:] + images[:1] for wnid, images in listing.items()} for part, listing in index.items()
    }


def test_the_order_of_the_pickle_is_taken_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = shuffled(listed(folder))
    write_pickle(folder, expected)
    assert read_index(folder) == expected != listed(folder)
    monkeypatch.setattr(imagenet_index, "load_upstream_pickle", None)
    assert read_index(folder) == expected  # from the kept list: the pickle is read once


def test_classes_too_stand_in_the_order_of_the_pickle(folder: Path) -> None:
    """Shots are drawn class by class in order of first appearance."""
    backwards = {part: dict(reversed(listing.items())) for part, listing in listed(folder).items()}
    write_pickle(folder, backwards)
    assert list(read_index(folder)["train"]) == list(read_index(folder)["train"]) == list(reversed(WNIDS))


def test_a_pickle_that_comes_or_goes_later_counts(folder: Path) -> None:
    plain = read_index(folder)
    write_pickle(folder, shuffled(plain))
    assert read_index(folder) == shuffled(plain)
    (folder / "preprocessed.pkl").unlink()
    assert read_index(folder) == plain


def test_paths_as_windows_writes_them(folder: Path) -> None:
    expected = shuffled(listed(folder))
    write_pickle(folder, expected)
    pickled = (folder / "preprocessed.pkl").read_bytes()
    content = pickle.loads(pickled)
    for items in content.values():
        for item in items:
            item._impath = "D:" + item._impath.replace("/", "\\")
    (folder / "preprocessed.pkl").write_bytes(pickle.dumps(content))
    assert read_index(folder) == expected


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran.txt"),)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("lacks an image", r"it differs from images/train/n01440764 in 'n01440764_8\.JPEG'"),
        ("has another image", r"it differs from images/val/n07753592 in 'strange\.JPEG'"),
        ("has an image twice", "an image twice"),
        ("lacks a class", "it differs from images/train/n02007558 in"),
        ("has no test images", "it differs from images/val/n"),
        ("has bare names", "it differs from images/train/"),
        ("runs code", "more than plain lists of images"),
        ("is cut short", "or is damaged"),
    ],
)
def test_a_pickle_that_does_not_fit(
    fault: str, reason: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = listed(folder)
    path = folder / "preprocessed.pkl"
    if fault == "lacks an image":
        index["train"]["n01440764"].remove("n01440764_8.JPEG")
    elif fault == "has another image":
        index["val"]["n07753592"].append("strange.JPEG")
    elif fault == "has an image twice":
        index["train"]["n01440764"] *= 2
    elif fault == "lacks a class":
        del index["train"]["n02007558"]
    write_pickle(folder, index)
    if fault == "has no test images":
        path.write_bytes(pickle.dumps({"train": pickle.loads(path.read_bytes())["train"]}))
    elif fault == "has bare names":
        path.write_bytes(pickle.dumps({"train": [listed_item("a.JPEG", 0, "")], "test": []}))
    elif fault == "runs code":
        path.write_bytes(pickle.dumps({"train": [Malicious()], "test": []}))
    elif fault == "is cut short":
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match=rf"preprocessed\.pkl is not used, so few-shot samples differ .*{reason}"):
        assert read_index(folder) == listed(folder)
    assert not (tmp_path / "ran.txt").exists()
