from pathlib import Path

import pytest

from datasets.doctor.disk import blocked, file_size, image_files, read_folder


def test_a_folder_is_read_with_links_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"123")
    (folder / "linked.jpg").symlink_to(folder / "a.jpg")
    (folder / "to_folder").symlink_to(folder / "below")
    for name, target in (("gone", "nowhere"), ("loop", "loop")):
        (folder / name).symlink_to(folder / target)
    contents = read_folder(folder)
    assert contents.files == {"a.jpg": 3, "linked.jpg": 3}
    assert sorted(contents.folders) == ["below", "to_folder"]
    assert sorted(contents.broken) == ["gone", "loop"]


def test_what_is_no_folder_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name in ("file", "gone"):
        with pytest.raises(OSError):
            read_folder(tmp_path / name)
    with pytest.raises(ValueError):
        read_folder("a\x00b")


def test_images_below_a_folder_that_contains_itself(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    for name in ("x.jpg", "b/y.PNG", "b/notes.txt", "b/.hidden.jpg"):
        (tmp_path / "a" / name).write_bytes(b"1")
    (tmp_path / "a" / "empty.jpg").touch()
    found = sorted(Path(path).name for path in image_files(tmp_path))
    assert found == ["x.jpg", "y.PNG"]


def test_obstacles_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert blocked(tmp_path) == ""
    assert blocked(tmp_path / "file") == "is a file, no folder"
    assert blocked(tmp_path / "gone") == "is missing"
    assert blocked(tmp_path / "broken") == "is a broken link"
    assert "link" in blocked(tmp_path / "loop")


def test_sizes(tmp_path: Path) -> None:
    assert file_size(str(tmp_path)) is None and file_size("a\x00b") is None
