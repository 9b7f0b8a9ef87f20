import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amu_raft.images.files import images_below, is_image, is_ours, subfolders

Make = Callable[[Path], str]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("a.jpg", True), ("A.JPEG", True), ("b.png", True), ("photo.jfif", True), ("x.AVIF", True), ("t.Tif", True)),
        *(("._a.jpg", False), ("a.txt", False), ("jpg", False), ("Thumbs.db", False), (".DS_Store", False)),
    ],
)
def test_images_are_told_by_their_names(name: str, expected: bool) -> None:
    assert is_image(name) is expected


def test_what_is_not_the_users(tmp_path: Path, make_image: Make) -> None:
    for name in ("owl", "__MACOSX", ".git", "@eaDir", "bat"):
        make_image(tmp_path / name / "a.jpg")
    make_image(tmp_path / "file.jpg")
    assert [folder.name for folder in subfolders(tmp_path)] == ["bat", "owl"]
    assert not is_ours("$RECYCLE.BIN") and is_ours("recycling")


def test_endings_nesting_and_hidden_files(tmp_path: Path, make_image: Make) -> None:
    wanted = ["a.JPG", "b.jpeg", "c.Png", "d.webp", "e.bmp", "f.tif", "g.TIFF", "deep/er/h.jpg", "sp ace/ü.png"]
    for name in [*wanted, ".hidden.jpg", "notes.txt", "jpg", ".trash/i.jpg", "__MACOSX/a.jpg"]:
        make_image(tmp_path / "owl" / name)
    (tmp_path / "owl" / "again").symlink_to(tmp_path)
    assert {path.relative_to(tmp_path / "owl").as_posix() for path in images_below(tmp_path / "owl")} == set(wanted)


def test_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, make_image: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(tmp_path / "owl" / "a.jpg")
    make_image(tmp_path / "owl" / "locked" / "b.jpg")
    scan = os.scandir

    def refuse(folder: Any) -> Any:  # as the system does, but for root too
        if str(folder).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="locked"):
        images_below(tmp_path / "owl")
