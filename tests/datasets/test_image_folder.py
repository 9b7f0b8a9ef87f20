import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.image_folder import ImageFolder, divide, is_image, read_image_folder

Make = Callable[[Path], str]


def fill(root: Path, make_image: Make, **classes: int) -> Path:
    for name, count in classes.items():
        for index in range(count):
            make_image(root / name / f"{index:03d}.jpg")
    return root


def stems(items: Any) -> list[tuple[str, str]]:
    return [(item.classname, Path(item.impath).stem) for item in items]


def test_a_plain_folder_is_divided_the_same_way_every_time(
    tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]
) -> None:
    root = fill(tmp_path / "mine", make_image, owl=10, bat=20)
    before = sorted(root.rglob("*"))
    data = ImageFolder(make_cfg(root))
    assert data.classnames == ["bat", "owl"] and data.dataset_dir == str(root)
    for part, (bats, owls) in ((data.train_x, (10, 5)), (data.val, (4, 2)), (data.test, (6, 3))):
        assert Counter(item.label for item in part or ()) == {0: bats, 1: owls}
    copy = fill(tmp_path / "copy", make_image, owl=10, bat=20, cat=4)
    again = read_image_folder(copy)
    assert [row for row in stems(again.train) if row[0] != "cat"] == stems(data.train_x)
    assert sorted(root.rglob("*")) == before


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_every_class_of_two_or_more_gets_train_and_test(counts: list[int], tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("images")
    listing = {}
    for label, count in enumerate(counts):
        listing[f"class{label}"] = [folder / f"{label}_{index:02d}.jpg" for index in range(count)]
        for path in listing[f"class{label}"]:
            path.touch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        split = divide(listing)
    paths = [item.impath for part in split for item in part]
    assert sorted(paths) == sorted(str(path) for images in listing.values() for path in images)
    for label, count in enumerate(counts):
        sizes = [sum(item.label == label for item in part) for part in split]
        assert sizes[0] == max(1, count // 2) and sizes[1] == count // 5
        assert sizes[2] >= 1 or count == 1


def test_a_single_image_goes_to_train_with_a_warning(tmp_path: Path, make_image: Make) -> None:
    with pytest.warns(UserWarning, match="one image only, so none to test with: 'rare'"):
        split = read_image_folder(fill(tmp_path, make_image, common=4, rare=1))
    assert [len(part) for part in split] == [3, 0, 3 - 1]


def test_endings_nesting_and_hidden_files(tmp_path: Path, make_image: Make) -> None:
    wanted = ["a.JPG", "b.jpeg", "c.Png", "d.webp", "e.bmp", "f.tif", "g.TIFF", "deep/er/h.jpg", "sp ace/ü.png"]
    for name in [*wanted, ".hidden.jpg", "notes.txt", "jpg", ".trash/i.jpg"]:
        make_image(tmp_path / "owl" / name)
    fill(tmp_path, make_image, bat=2)
    make_image(tmp_path / "readme.jpg")
    make_image(tmp_path / ".cache" / "x.jpg")
    split = read_image_folder(tmp_path)
    found = {
        Path(item.impath).relative_to(tmp_path / "owl").as_posix() for part in split for item in part if item.label
    }
    assert found == set(wanted)


@pytest.mark.parametrize("val", ["val", "valid", "Validation", None])
def test_split_folders(val: str | None, tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    sizes = {"Train": 5, "test": 3} | ({val: 2} if val else {})
    for name, count in sizes.items():
        fill(tmp_path / name, make_image, owl=count, bat=count)
    data = ImageFolder(make_cfg(tmp_path))
    assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == (10, 4 if val else 0, 6)
    assert data.classnames == ["bat", "owl"]
    assert [item.classname for item in data.train_x or ()] == ["bat"] * 5 + ["owl"] * 5


def test_shots_and_halves(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    root = fill(tmp_path, make_image, ant=20, bat=20, cat=20)
    first, second = (ImageFolder(make_cfg(root, shots=2, subsample="base")) for _ in range(2))
    assert Counter(item.classname for item in first.train_x or ()) == {"ant": 2, "bat": 2}
    assert len(first.val or ()) == 4 and len(first.test or ()) == 12
    assert stems(first.train_x) != stems(second.train_x)  # nothing is kept, and the generator has moved on
    assert [path.name for path in root.iterdir() if path.name not in ("ant", "bat", "cat")] == []


def test_same_seed_same_shots(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    import random

    root = fill(tmp_path, make_image, ant=20, bat=20)
    samples = []
    for _ in range(2):
        random.seed(1)
        samples.append(stems(ImageFolder(make_cfg(root, shots=4)).train_x))
    assert samples[0] == samples[1]


def test_a_class_may_be_called_train(tmp_path: Path, make_image: Make) -> None:
    split = read_image_folder(fill(tmp_path, make_image, train=4, bus=4))
    assert {item.classname for item in split.train} == {"bus", "train"}


def test_folders_beside_the_splits_are_named(tmp_path: Path, make_image: Make) -> None:
    for name in ("train", "test", "notes"):
        fill(tmp_path / name, make_image, owl=2, bat=2)
    with pytest.warns(UserWarning, match="not read: 'notes'"):
        assert len(read_image_folder(tmp_path).train) == 4


def test_roots_that_do_not_fit(tmp_path: Path, make_image: Make, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"DATASET.ROOT is not given; ImageFolder reads ROOT/<class>"):
        ImageFolder(make_cfg())
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        ImageFolder(make_cfg(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="is a file, no folder"):
        ImageFolder(make_cfg(make_image(tmp_path / "file.jpg")))
    with pytest.raises(ValueError, match="has no class folders; expected two or more"):
        ImageFolder(make_cfg(tmp_path))
    fill(tmp_path, make_image, owl=3)
    with pytest.raises(ValueError, match="has only the class folder 'owl'"):
        ImageFolder(make_cfg(tmp_path))
    (tmp_path / "bat").mkdir()
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"no images in 'bat', 'cat' of .*; accepted endings are .jpg"):
        ImageFolder(make_cfg(tmp_path))


def test_split_folders_that_do_not_fit(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path / "train", make_image, owl=2, bat=2)
    with pytest.raises(ValueError, match="has split folders but no test/"):
        read_image_folder(tmp_path)
    fill(tmp_path / "test", make_image, owl=2, cat=2)
    with pytest.raises(ValueError, match="test/ and train/ differ in the classes 'bat', 'cat'"):
        read_image_folder(tmp_path)
    fill(tmp_path / "val", make_image, owl=2)
    fill(tmp_path / "valid", make_image, owl=2)
    with pytest.raises(ValueError, match="has 2 folders for val: 'val', 'valid'; keep one"):
        read_image_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jpg", True), ("A.JPEG", True), ("b.png", True), ("._a.jpg", False), ("a.txt", False), ("jpg", False)],
)
def test_images_are_told_by_their_names(name: str, expected: bool) -> None:
    assert is_image(name) is expected
