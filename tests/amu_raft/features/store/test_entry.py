import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from amu_raft.features.store import DamagedEntryError, FeatureStore, entry, key_of
from amu_raft.features.store.entry import read_entry
from tests.amu_raft.features.store.samples import description, numbers, put


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(7, 5), (7, 2, 3, 4), (7,)])
def test_rows_come_back_as_they_were(store: FeatureStore, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    rows = (torch.arange(math.prod(shape)).view(shape) % 11).to(dtype)
    found = put(store, rows=rows)
    assert found.shape == shape and found.num_bytes == (found.folder / "rows.npy").stat().st_size
    for got in (found.rows(), read_entry(found.folder).rows()):
        assert got.dtype == dtype and torch.equal(got, rows)


def test_slices_are_those_of_a_list(store: FeatureStore) -> None:
    rows, found = numbers(), put(store)
    for start, stop in [(0, 7), (2, 5), (3, 3), (5, 2), (0, 0), (6, 99), (-2, None), (99, 100)]:
        got = found.rows(start, stop)
        assert torch.equal(got, rows[start:stop]), (start, stop)
        assert got.shape[1:] == rows.shape[1:]
    got = found.rows(0, 2)
    got.zero_()  # a tensor of its own
    assert torch.equal(found.rows(0, 2), rows[:2])


def test_an_entry_of_no_rows_is_stored(store: FeatureStore) -> None:
    got = put(store, rows=torch.empty(0, 5, dtype=torch.float16)).rows()
    assert got.shape == (0, 5) and got.dtype == torch.float16


def test_the_file_is_a_plain_npy_file(store: FeatureStore) -> None:
    rows = numbers(width=6).view(7, 2, 3).half().transpose(1, 2)  # not contiguous
    found = put(store, rows=rows)
    array = np.load(found.folder / "rows.npy", allow_pickle=False)
    assert array.dtype == np.float16 and (array == rows.numpy()).all()


def test_a_key_changes_with_every_field() -> None:
    plain = description()
    changed = [
        description("aux"),
        description(encoder={"name": "RN101", "sha256": "ab" * 32}),
        description(encoder={"name": "RN50", "sha256": "ac" * 32}),
        description(transform={"resize": 225, "mean": [0.5, 0.4]}),
        description(transform={"resize": 224, "mean": [0.4, 0.5]}),
        description(images={**plain["images"], "count": 8}),
        description(images={**plain["images"], "identity": "content"}),
        description(images={**plain["images"], "digest": "ce" * 32}),
        description(view=None),
        description(view=0),
        description(view=False),
        description(view="0"),
        {},
    ]
    keys = [key_of(item) for item in [plain, *changed]]
    assert len(set(keys)) == len(keys) and all(len(key) == 64 for key in keys)


def test_a_key_ignores_what_json_ignores() -> None:
    plain = description()
    assert key_of(dict(reversed(plain.items()))) == key_of(plain)
    assert key_of({"mean": (1, 2)}) == key_of({"mean": [1, 2]})
    assert key_of({"by": {2: "a", 10: "b"}}) == key_of({"by": {"2": "a", "10": "b"}})
    with pytest.raises(TypeError, match="Path"):
        key_of({"path": Path("x")})


def test_no_entry(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no entry .*here"):
        read_entry(tmp_path / "here")


def test_an_entry_that_goes_while_it_is_opened_is_none(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(store).folder
    read_manifest = entry._read_manifest

    def read_and_lose(folder: Path) -> object:
        content = read_manifest(folder)
        folder.rename(folder.with_name("gone"))
        return content

    monkeypatch.setattr(entry, "_read_manifest", read_and_lose)
    with pytest.raises(FileNotFoundError, match="any more"):
        read_entry(folder)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_opened_files_are_closed(store: FeatureStore) -> None:
    folder = put(store).folder
    before = open_files()
    for _ in range(5):
        read_entry(folder)
    os.truncate(folder / "rows.npy", 200)
    for _ in range(5):
        with pytest.raises(DamagedEntryError):
            read_entry(folder)
    assert open_files() == before


MEMORY = """
import sys, torch
from pathlib import Path
from amu_raft.features.store import FeatureStore

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024

def work(count):
    store, batch = FeatureStore(Path(sys.argv[1])), torch.zeros(250, 1024)
    compute = lambda names: ({"map": batch.add_(1)} for _ in range(count // 250))
    entry = store.fetch({"map": {"count": count}}, count, compute)["map"]
    entry.verify()
    assert sum(float(entry.rows(i, i + 250)[7, 7]) for i in range(0, count, 250)) == sum(range(count // 250 + 1))
    return peak()

print(*(work(count) for count in (1000, 50_000)))
"""


def test_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    few, many = map(float, done.stdout.split())
    assert many - few < 30, f"{few} MiB for 1,000 rows of 4 KiB, {many} MiB for 50,000"
