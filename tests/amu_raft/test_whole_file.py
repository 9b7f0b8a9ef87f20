import os
from pathlib import Path
from typing import IO

import pytest

from amu_raft.whole_file import replace_file, write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"earlier")
    replace_file(b"new", path)
    assert path.read_bytes() == b"new" and [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_writer_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    def stop(stream: IO[bytes]) -> None:
        stream.write(b"half")
        assert [file.name for file in tmp_path.iterdir()] == [f".page.html.{os.getpid()}.partial"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "page.html", stop)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"earlier")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(b"new", path)
    monkeypatch.undo()
    assert path.read_bytes() == b"earlier" and [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_the_folder_is_made_unless_it_must_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(b"new", tmp_path / "a" / "page.html", make_folder=False)
    assert list(tmp_path.iterdir()) == []
    replace_file(b"new", str(tmp_path / "a" / "b" / "page.html"))
    assert (tmp_path / "a" / "b" / "page.html").read_bytes() == b"new"
