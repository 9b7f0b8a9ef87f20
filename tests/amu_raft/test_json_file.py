from pathlib import Path

import pytest

from amu_raft.json_file import read_json_file, write_json_file


def test_layout_is_that_of_coop(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json_file({"b": [1, "é"], "a": {}}, path)
    assert path.read_bytes() == b'{\n    "b": [\n        1,\n        "\\u00e9"\n    ],\n    "a": {}\n}'
    assert read_json_file(path, what="file") == {"b": [1, "é"], "a": {}}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json_file([1], path)

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_json_file([2], path)
    monkeypatch.undo()
    assert read_json_file(path, what="file") == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(FileNotFoundError, match=r"no split file .*a\.json"):
        read_json_file(path, what="split file")
    for content in (b'{"train": [', b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"split file .*a\.json is damaged"):
            read_json_file(path, what="split file")


def test_lists_in_lists_without_end_are_damage(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match=r"split file .*a.json is damaged, no JSON can be read from it"):
        read_json_file(tmp_path / "a.json", what="split file")


def test_a_mark_of_the_encoding_at_the_start_is_read_past(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}')
    assert read_json_file(tmp_path / "split.json", what="split file") == {"a": 1}
