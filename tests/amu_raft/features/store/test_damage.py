import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from amu_raft.features.store import DamagedEntryError, Entry, FeatureStore
from amu_raft.features.store.entry import read_entry, seal
from tests.amu_raft.features.store.samples import numbers, put


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "flipped first byte": (lambda f: flip(f / "rows.npy", 128), r"rows.npy has sha256 \w+, expected"),
    "flipped last byte": (lambda f: flip(f / "rows.npy", -1), r"rows.npy has sha256 \w+, expected"),
    "changed header": (lambda f: flip(f / "rows.npy", 20), r"rows.npy has sha256 \w+, expected"),
    "changed magic": (lambda f: flip(f / "rows.npy", 0), r"rows.npy has sha256 \w+, expected"),
    "truncated": (lambda f: os.truncate(f / "rows.npy", 200), "rows.npy has 200 bytes, expected 268"),
    "empty": (lambda f: os.truncate(f / "rows.npy", 0), "rows.npy has 0 bytes, expected 268"),
    "longer": (lambda f: os.truncate(f / "rows.npy", 300), "rows.npy has 300 bytes, expected 268"),
    "no rows": (lambda f: (f / "rows.npy").unlink(), "rows.npy is missing"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
    "empty manifest": (lambda f: os.truncate(f / "manifest.json", 0), "manifest.json is no JSON"),
    "binary manifest": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "manifest.json is no JSON"),
    "list for a manifest": (lambda f: (f / "manifest.json").write_text("[]"), "no manifest of format 1"),
    "later format": (lambda f: edit(f, format=2), "no manifest of format 1"),
    "edited manifest": (lambda f: edit(f, dtype="int32"), "manifest.json was changed after it was written"),
    "no checksum": (lambda f: edit(f, checksum=None), "manifest.json was changed after it was written"),
    "another key": (lambda f: edit(f, key="0" * 64, sealed=True), "manifest.json belongs to the entry 000"),
}


def edit(folder: Path, *, sealed: bool = False, **changes: object) -> None:
    path = folder / "manifest.json"
    content = {**json.loads(path.read_text()), **changes}
    if sealed:
        del content["checksum"]
        content = seal(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found_and_named(store: FeatureStore, name: str) -> None:
    damage, message = DAMAGES[name]
    folder = put(store).folder
    read_entry(folder).verify()
    damage(folder)
    with pytest.raises(DamagedEntryError, match=message):
        read_entry(folder).verify()


def test_a_flipped_bit_of_the_manifest_is_found(store: FeatureStore) -> None:
    path = put(store).folder / "manifest.json"
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[position] ^= 4
        path.write_bytes(changed)
        try:
            same = json.loads(changed) == json.loads(whole)  # a space may have become another one
        except ValueError:
            same = False
        if not same:
            with pytest.raises(DamagedEntryError):
                read_entry(path.parent)
    path.write_bytes(whole)
    read_entry(path.parent).verify()


def test_a_whole_file_is_hashed_once_a_process(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = put(store)
    path, calls = found.folder / "rows.npy", []
    hash_file = Entry._sha256

    def count(self: Entry) -> str:
        calls.append(1)
        return hash_file(self)

    monkeypatch.setattr(Entry, "_sha256", count)
    found.verify()
    found.verify()
    assert len(calls) == 2  # just written: a change within the clock's tick would not show in the time
    os.utime(path, (1000, 1000))
    for _ in range(3):
        read_entry(found.folder).verify()
    assert len(calls) == 3
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(DamagedEntryError):
        read_entry(found.folder).verify()


def test_a_file_that_shrinks_while_it_is_read_is_found(store: FeatureStore) -> None:
    found = put(store)
    os.truncate(found.folder / "rows.npy", 200)
    assert torch.equal(found.rows(0, 3), numbers()[:3])
    with pytest.raises(DamagedEntryError, match=r"rows.npy has become shorter"):
        found.rows()


def test_a_disk_that_cannot_be_read_is_damage(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    found = put(store)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(DamagedEntryError, match=r"rows.npy cannot be read \(Input/output error\)"):
        found.verify()
