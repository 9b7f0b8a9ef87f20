import io
import json

import pytest
import torch

from scripts.pretraining.packing import packed, write_atomically, write_manifest


def test_packed_states_load_safely_and_unchanged():
    state = {"a": torch.randn(3, 4), "b": torch.tensor(7), "c": torch.randn(5).half()}
    loaded = torch.load(io.BytesIO(packed(state)), weights_only=True)
    torch.testing.assert_close(loaded, state, rtol=0, atol=0)


def test_equal_states_give_equal_bytes():
    assert packed({"a": torch.ones(50)}) == packed({"a": torch.ones(50)})
    assert packed({"a": torch.ones(50)}) != packed({"a": torch.zeros(50)})


def test_zero_rows_cost_next_to_nothing():
    assert len(packed({"embedding": torch.zeros(49408, 64).half()})) < 20_000


def test_files_are_replaced_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_manifest_is_sorted_json(tmp_path):
    write_manifest(tmp_path, {"b": {"seed": 1}, "a": {"seed": 2}})
    text = (tmp_path / "manifest.json").read_text()
    assert json.loads(text) == {"a": {"seed": 2}, "b": {"seed": 1}}
    assert text.index('"a"') < text.index('"b"')
