import errno
import os
from pathlib import Path
from typing import Any

import pytest

from datasets.catalog import Place
from datasets.prepare.arrangement import Conflict, find_folder, merge, move, set_aside, unpack_inner, unpack_staged
from tests.datasets.miniatures.archives import pack_tar, pack_zip
from tests.datasets.miniatures.common import write_jpeg


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------------------------------------------- find_folder


@pytest.mark.parametrize(
    ("files", "names", "found"),
    (
        (["images/a.jpg"], ["images"], "images"),
        (["top/images/a.jpg", "top/images/images.txt"], ["images"], "top/images"),
        (["cars_train/cars_train/a.jpg"], ["cars_train"], "cars_train/cars_train"),
        (["SUN397/SUN397/SUN397/a/b.jpg"], ["SUN397"], "SUN397/SUN397/SUN397"),
        (["SUN397/SUN397/a.jpg", "SUN397/readme"], ["SUN397"], "SUN397"),
        (["SUN397/SUN397/a.jpg", "SUN397/.DS_Store"], ["SUN397"], "SUN397/SUN397"),
        (["__MACOSX/images/a", "z/images/a"], ["images"], "z/images"),
        (["set/data/a.jpg", "data/a.jpg"], ["set/data"], "set/data"),
        (["x/set/data/a.jpg", "data/a.jpg"], ["set/data"], "x/set/data"),
        (["b/a.jpg", "a/a.jpg"], ["nothing", "b", "a"], "b"),
        (["a.zip.unpacked/deep/images/a.jpg"], ["images"], "a.zip.unpacked/deep/images"),
        (["a/b/c/d/e/images/a.jpg"], ["images"], None),
        (["set_aside/images/a.jpg"], ["images"], None),
        (["images.txt"], ["images"], None),
        (["a.jpg"], ["."], "."),
    ),
)
def test_a_folder_is_found(files: list[str], names: list[str], found: str | None, tmp_path: Path) -> None:
    for file in files:
        write(tmp_path / file)
    assert find_folder(tmp_path, names) == (None if found is None else tmp_path / found)


# -------------------------------------------------------------------------------------------------------------- merge


def test_a_folder_goes_to_its_place_by_one_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "new" / "a" / "1")
    inode = (tmp_path / "new").stat().st_ino
    assert merge(tmp_path / "new", tmp_path / "deep" / "place", Conflict.REPLACE, tmp_path / "aside") == 0
    assert (tmp_path / "deep" / "place").stat().st_ino == inode


@pytest.mark.parametrize("conflict", Conflict)
def test_missing_files_are_added_and_nothing_is_lost(conflict: Conflict, tmp_path: Path) -> None:
    new, place, aside = tmp_path / "new", tmp_path / "place", tmp_path / "aside"
    for name, text in (("a/missing", "new"), ("a/same", "AAA"), ("a/other", "longer"), ("b/1", "x")):
        write(new / name, text)
    for name, text in (("a/same", "aaa"), ("a/other", "short"), ("a/mine", "mine")):
        write(place / name, text)
    replaced = conflict is not Conflict.LEAVE  # "short" is no image, so it counts as damaged where images are kept
    assert merge(new, place, conflict, aside) == (2 if replaced else 1)
    found = content(place)
    assert (found["a/missing"], found["a/mine"], found["b/1"]) == ("new", "mine", "x")
    assert (found["a/other"], found["a/same"]) == (("longer", "AAA") if replaced else ("short", "aaa"))
    assert content(aside) == ({"a/other": "short", "a/same": "aaa"} if replaced else {})
    assert content(new) == ({} if replaced else {"a/same": "AAA", "a/other": "longer"})
    assert new.exists() == (not replaced)


def test_an_image_that_can_be_opened_is_kept(tmp_path: Path) -> None:
    new, old = write_jpeg(tmp_path / "new" / "1.jpg", 1, 1), write_jpeg(tmp_path / "old" / "1.jpg", 2, 2, (48, 48))
    theirs = old.read_bytes()
    assert merge(new.parent, old.parent, Conflict.KEEP, tmp_path / "aside") == 1
    assert old.read_bytes() == theirs and not new.parent.exists() and not (tmp_path / "aside").exists()


def test_a_file_where_a_folder_belongs_is_set_aside(tmp_path: Path) -> None:
    write(tmp_path / "new" / "a" / "1")
    write(tmp_path / "place" / "a", "mine")
    assert merge(tmp_path / "new", tmp_path / "place", Conflict.REPLACE, tmp_path / "aside") == 1
    assert content(tmp_path / "place") == {"a/1": "x"} and content(tmp_path / "aside") == {"a": "mine"}


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    for text in ("first", "second", "third"):
        set_aside(write(tmp_path / "a.jpg", text), tmp_path / "aside" / "a.jpg")
    assert content(tmp_path / "aside") == {"a.jpg": "first", "a.jpg.2": "second", "a.jpg.3": "third"}


@pytest.mark.parametrize("kind", ("file", "folder"))
def test_another_file_system_is_copied_to(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "new" / "1").parent if kind == "folder" else write(tmp_path / "new")
    write(tmp_path / "there" / ".place.partial", "of a run that was killed")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Any:
        if self == source:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    move(source, tmp_path / "there" / "place")
    assert not source.exists()
    assert content(tmp_path / "there") == ({"place/1": "x"} if kind == "folder" else {"place": "x"})


def test_other_errors_of_renaming_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "none", tmp_path / "place")


# ----------------------------------------------------------------------------------------------------------- unpacking


def test_archives_in_the_archive_get_folders_of_their_own(tmp_path: Path) -> None:
    outer = {f"n0{i}.tar": pack_tar({f"n0{i}_1.JPEG": b"image"}, "") for i in range(3)}
    (tmp_path / "train.tar").write_bytes(pack_tar(outer, ""))
    place = Place(inner=("*.tar",), inner_folders=True)
    assert not unpack_staged(tmp_path / "train.tar", tmp_path / "tree", place, title="t")
    assert content(tmp_path / "tree") == {f"n0{i}/n0{i}_1.JPEG": "image" for i in range(3)}
    assert unpack_staged(tmp_path / "train.tar", tmp_path / "tree", place, title="t")


def test_a_half_unpacked_inner_archive_is_unpacked_again(tmp_path: Path) -> None:
    archive = tmp_path / "tree" / "set" / "images.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(pack_tar({"images/1.jpg": b"image"}))
    write(tmp_path / "tree" / "set" / "images.tar.gz.unpacked" / "images" / "other.jpg")
    unpack_inner(tmp_path / "tree", Place(inner=("images.tar.gz",)), title="t")
    assert content(tmp_path / "tree") == {"set/images.tar.gz.unpacked/images/1.jpg": "image"}


def test_archives_that_are_not_named_stay(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(pack_zip({"set/Annotations.tar": pack_tar({"1.mat": b"m"}, "")}))
    unpack_staged(tmp_path / "a.zip", tmp_path / "tree", Place(inner=("images.tar.gz",)), title="t")
    assert [path.name for path in (tmp_path / "tree" / "set").iterdir()] == ["Annotations.tar"]
