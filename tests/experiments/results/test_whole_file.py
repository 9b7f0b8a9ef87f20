from pathlib import Path

import pytest

from experiments.results.whole_file import replace_file


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(b"earlier")
    replace_file(b"new", path)
    assert path.read_bytes() == b"new" and [file.name for file in tmp_path.iterdir()] == ["page.html"]


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
