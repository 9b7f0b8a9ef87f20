from collections.abc import Callable
from pathlib import Path

import pytest

from amu_raft.images.folders import find_split_folders, list_folders
from tests.conftest import write_images
from tests.empty_images import fill

Make = Callable[[Path], str]


def test_a_class_may_be_called_train(tmp_path: Path, make_image: Make) -> None:
    assert list(list_folders(fill(tmp_path, make_image, train=4, bus=4)).parts["all"]) == ["bus", "train"]


@pytest.mark.parametrize("other", ["test", "val"])
def test_folders_beside_the_splits_are_named(other: str, tmp_path: Path, make_image: Make) -> None:
    for name in ("train", other, "notes"):
        fill(tmp_path / name, make_image, owl=2, bat=2)
    with pytest.warns(UserWarning, match="not read: 'notes'"):
        assert list(list_folders(tmp_path).parts) == ["train", other]


def test_what_systems_leave_behind_is_no_class(tmp_path: Path, make_image: Make) -> None:
    for name in ("train", "test"):
        fill(tmp_path / name, make_image, owl=2, bat=2)
        make_image(tmp_path / "__MACOSX" / name / "._000.jpg")
        (tmp_path / name / ".DS_Store").touch()
        (tmp_path / name / "Thumbs.db").touch()
    listing = list_folders(tmp_path)
    assert [len(images) for part in listing.parts.values() for images in part.values()] == [2, 2, 2, 2]


def test_classes_without_images(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path, make_image, owl=3)
    (tmp_path / "bat").mkdir()
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match=r"no images in 'bat', 'cat' of .*; accepted endings are .jpg"):
        list_folders(tmp_path)


def test_an_empty_class_of_a_test_folder_is_left_out(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path / "train", make_image, owl=2, bat=2)
    fill(tmp_path / "test", make_image, owl=2)
    (tmp_path / "test" / "bat").mkdir()
    assert list(list_folders(tmp_path).parts["test"]) == ["owl"]


def test_split_folders_that_do_not_fit(tmp_path: Path, make_image: Make) -> None:
    fill(tmp_path / "test", make_image, owl=2, cat=2)
    with pytest.raises(ValueError, match="has split folders but no train/"):
        list_folders(tmp_path)
    fill(tmp_path / "train", make_image, owl=2, bat=2)
    fill(tmp_path / "val", make_image, owl=2)
    fill(tmp_path / "valid", make_image, owl=2)
    with pytest.raises(ValueError, match="has 2 folders for val: 'val', 'valid'; keep one"):
        list_folders(tmp_path)


def test_links(tmp_path: Path, make_image: Make) -> None:
    root = fill(tmp_path / "root", make_image, owl=2)
    elsewhere = fill(tmp_path / "elsewhere", make_image, bat=3)
    (root / "bat").symlink_to(elsewhere / "bat")  # a class may lie elsewhere
    (root / "loop").symlink_to(root / "loop")
    (root / "all").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    with pytest.warns(UserWarning, match="links to the folder that they lie in, not read: .*above.*all") as said:
        listing = list_folders(root)
    assert len(said) == 1 and {name: len(images) for name, images in listing.trained.items()} == {"bat": 3, "owl": 2}


def test_broken_links(tmp_path: Path, make_image: Make) -> None:
    root = fill(tmp_path, make_image, owl=2, bat=2)
    (root / "owl" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    with pytest.raises(ValueError, match=r"no files, but broken links or devices: '.*gone.jpg'; remove them"):
        list_folders(root)


def test_other_spellings_of_splits(tmp_path: Path) -> None:
    write_images(tmp_path / "Training")
    write_images(tmp_path / "testing")
    assert list(find_split_folders(tmp_path)) == ["train", "test"]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("first", "second"), "all hold 'bear', 'red_fox', 'sea lion'; if these are the classes"),
        (("images", "new", "val"), "'val' taken for a class; splits are train/ and val/ or test/"),
    ],
)
def test_layouts_that_may_be_meant_otherwise_are_warned_of(folders: tuple[str, ...], said: str, tmp_path: Path) -> None:
    for name in folders:
        write_images(tmp_path / name)
    with pytest.warns(UserWarning) as warned:
        assert list_folders(tmp_path).classes == sorted(folders)
    assert any(said in str(warning.message) for warning in warned)
