import io
import os
from pathlib import Path

import pytest

from amu_raft.prediction.listing import Listed, list_pictures


def listed(*paths: str, stdin: bytes = b"") -> list[Listed]:
    return list(list_pictures(paths, io.BytesIO(stdin)))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.webp", "sub/d.csv", "@eaDir/e.png", ".git/f.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_in_the_order_of_names(tree: Path) -> None:
    assert [item.path for item in listed(".")] == ["./a.JPG", "./b.png", "./sub/c.webp"]


def test_files_are_taken_whatever_their_names(tree: Path) -> None:
    assert listed("notes.txt", ".hidden.png") == [Listed("notes.txt"), Listed(".hidden.png")]


def test_links_to_folders_are_not_followed_from_inside(tree: Path) -> None:
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "way").symlink_to(tree / "sub")
    assert [item.path for item in listed(".")] == ["./a.JPG", "./b.png", "./sub/c.webp"]
    assert [item.path for item in listed("way")] == ["way/c.webp"]


def test_paths_from_standard_input(tree: Path) -> None:
    odd = b"caf\xe9.png"
    (tree / os.fsdecode(odd)).write_bytes(b"")
    found = listed("-", stdin=b"a.JPG\r\n\n b.png\nsub\n" + odd)
    assert found == [
        Listed("a.JPG"),
        Listed(" b.png", "no such file"),
        Listed("sub/c.webp"),
        Listed("caf\udce9.png"),
    ]


def test_what_leads_nowhere(tree: Path) -> None:
    (tree / "empty").mkdir()
    (tree / "dangling.png").symlink_to("gone.png")
    os.mkfifo(tree / "pipe.png")
    assert [item.error for item in listed("empty", "gone.png", "dangling.png", "pipe.png", "a\0b")] == [
        "no picture in this folder",
        "no such file",
        "not a file",
        "not a file",
        "a path cannot hold a zero byte",
    ]


def test_a_folder_that_may_not_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert listed("sub") == [Listed("sub", "the folder cannot be read: Permission denied")]


def test_nothing_is_listed_before_it_is_asked_for(tree: Path) -> None:
    stream = io.BytesIO(b"a.JPG\nb.png\n")
    pictures = list_pictures(["-"], stream)
    assert stream.tell() == 0 and next(pictures) == Listed("a.JPG")
    assert stream.read() == b"b.png\n"


def test_the_folder_of_overlays_is_left_out(tree: Path) -> None:
    assert [item.path for item in list_pictures(["."], without="sub")] == ["./a.JPG", "./b.png"]
    [own] = list_pictures(["./sub/"], without="sub")
    assert own.path == "./sub/" and own.error.startswith("overlays are written to this folder")
    assert [item.path for item in list_pictures(["sub"], without="gone")] == ["sub/c.webp"]


def test_a_closed_standard_input(tree: Path) -> None:
    assert list(list_pictures(["a.JPG", "-"], None)) == [Listed("a.JPG"), Listed("-", "standard input is closed")]
