import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dassl.utils import (
    atomic_write,
    check_isfile,
    download_url,
    listdir_nohidden,
    mkdir_if_missing,
    read_json,
    write_json,
)


def test_mkdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mkdir_if_missing("")
    mkdir_if_missing("a/b")
    mkdir_if_missing("a/b")
    assert Path("a/b").is_dir()


def test_mkdir_names_the_folder_that_cannot_be_made(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    for target in (blocker, blocker / "sub"):
        with pytest.raises(OSError, match=rf"Cannot make the folder \(.*\): '{target}'"):
            mkdir_if_missing(str(target))


def test_atomic_write_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(str(path)) as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])
    with atomic_write(str(path)) as stream:
        stream.write("new")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("new", [path])


def test_atomic_write_follows_links_and_leaves_random_alone(tmp_path: Path) -> None:
    import random

    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    before = random.getstate()
    with atomic_write(str(link), "wb") as stream:
        stream.write(b"new")
    assert random.getstate() == before
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_json(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "x.json")
    value = {"b": [1, {"c": 2}], "a": "é"}
    write_json(value, path)
    assert read_json(path) == value
    assert Path(path).read_text() == json.dumps(value, indent=4)


def test_json_beside_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_json([1], "x.json")
    assert read_json("x.json") == [1]


def test_json_that_cannot_be_written_keeps_the_old_file(tmp_path: Path) -> None:
    path = str(tmp_path / "x.json")
    write_json([1], path)
    with pytest.raises(TypeError):
        write_json([object()], path)
    assert read_json(path) == [1]


def test_listing_and_checking(tmp_path: Path) -> None:
    for name in ("z", "b", ".h"):
        (tmp_path / name).write_text("")
    assert listdir_nohidden(str(tmp_path), sort=True) == ["b", "z"]
    assert sorted(listdir_nohidden(str(tmp_path))) == ["b", "z"]
    assert check_isfile(str(tmp_path / "z"))
    with pytest.warns(UserWarning, match='No file found at ".*none"'):
        assert not check_isfile(str(tmp_path / "none"))


def test_download_by_address(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("text")
    target = tmp_path / "new" / "copy"
    download_url((tmp_path / "source").as_uri(), str(target), from_gdrive=False)
    assert target.read_text() == "text"


def test_download_from_google_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def download(url: str, dst: str, quiet: bool) -> str | None:
        asked.append((url, dst))
        return dst if url == "good" else None

    monkeypatch.setitem(sys.modules, "gdown", types.SimpleNamespace(download=download))
    download_url("good", str(tmp_path / "x"))
    assert asked == [("good", str(tmp_path / "x"))]
    with pytest.raises(OSError, match="Cannot download bad"):
        download_url("bad", str(tmp_path / "x"))


def test_download_from_drive_needs_gdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(ImportError, match="need the package gdown: pip install gdown"):
        download_url("good", str(tmp_path / "x"))
