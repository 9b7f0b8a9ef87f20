import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.features.store import FeatureStore
from amu_raft.features.store.writer import EntryWriter
from tests.amu_raft.features.store.samples import compute_of, description, files_of, numbers, process, put


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def writer_in(folder: Path, num_rows: int = 7) -> EntryWriter:
    return EntryWriter(folder, key="0" * 64, description={}, num_rows=num_rows)


def test_rows_must_be_alike(tmp_path: Path) -> None:
    with writer_in(tmp_path / "new") as writer:
        writer.append(numbers(3))
        with pytest.raises(ValueError, match=r"rows of \(4,\) float32 follow rows of \(5,\) float32"):
            writer.append(numbers(3, width=4))
        with pytest.raises(ValueError, match=r"rows of \(5,\) float16 follow rows of \(5,\) float32"):
            writer.append(numbers(3).half())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64])
def test_types_that_numpy_lacks_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    name = str(dtype).removeprefix("torch.")
    with writer_in(tmp_path / "new") as writer, pytest.raises(ValueError, match=f"{name} cannot be stored; .*float16"):
        writer.append(torch.ones(2, 3, dtype=dtype))


@pytest.mark.parametrize(
    ("announced", "message"),
    [(6, "7 rows have come, 6 were announced"), (8, "7 of 8 announced rows have come")],
)
def test_another_number_of_rows_leaves_nothing(store: FeatureStore, announced: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        store.fetch({"clip": description()}, announced, compute_of({"clip": numbers()}))
    assert files_of(store.folder) == []


def test_no_batch_at_all(store: FeatureStore) -> None:
    with pytest.raises(ValueError, match="no batch has come, 7 rows were announced"):
        store.fetch({"clip": description()}, 7, lambda names: iter(()))
    assert files_of(store.folder) == []


def write_with_small_files(store: FeatureStore) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    with pytest.raises(OSError, match=r"feature store .*store cannot be used \(.*File too large.*AMU_RAFT_CACHE"):
        put(store, rows=numbers(100, width=1000))


def test_a_write_that_the_system_refuses_leaves_nothing(store: FeatureStore) -> None:
    with process(write_with_small_files, store) as child:
        child.join()
    assert child.exitcode == 0 and files_of(store.folder) == []


def enter_on_full_disk(self: EntryWriter) -> EntryWriter:
    """Every write to the file is answered as on a full disk; small ones only when the buffer is emptied."""
    self.folder.mkdir(parents=True)
    (self.folder / "rows.npy").symlink_to("/dev/full")
    return self


@pytest.mark.parametrize("width", [5, 5000])
def test_a_full_disk_is_named_and_leaves_nothing(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    kept = put(store, "aux")
    before = files_of(store.folder)
    monkeypatch.setattr(EntryWriter, "__enter__", enter_on_full_disk)
    with pytest.raises(OSError, match=r"No space left on device.*gc --limit 10G.*AMU_RAFT_CACHE"):
        put(store, rows=numbers(width=width))
    assert files_of(store.folder) == before and list((store.folder / "partial").iterdir()) == []
    monkeypatch.undo()
    assert torch.equal(put(store).rows(), numbers()) and torch.equal(kept.rows(), numbers())


def test_a_disk_that_fills_at_the_last_moment_leaves_nothing(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"No space left on device.*gc --limit"):
        put(store)
    assert files_of(store.folder) == []
