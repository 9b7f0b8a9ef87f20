import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.features.extraction import Features
from amu_raft.features.store import FeatureStore, key_of
from amu_raft.features.store.layout import StoreFolder
from amu_raft.features.store.tidying import damage_of, remove_leftovers
from tests.amu_raft.features.store.samples import (
    FORK,
    ROWS,
    compute_of,
    description,
    files_of,
    numbers,
    process,
    put,
    refuse,
)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def as_nobody(store: FeatureStore, readable: bool) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setuid(65534)
    if readable:
        assert torch.equal(store.fetch({"clip": description()}, ROWS, refuse)["clip"].rows(), numbers())
    with pytest.raises(OSError, match=r"feature store .* cannot be used .*Permission denied.*AMU_RAFT_CACHE"):
        put(store, "clip" if not readable else "aux")


@pytest.mark.parametrize("readable", [True, False])
def test_a_store_of_another_user_is_read_if_it_may_be(tmp_path: Path, readable: bool) -> None:
    store = FeatureStore(tmp_path / "store")
    folder = put(store).folder
    modes = {path: path.stat().st_mode for path in [*tmp_path.parents, tmp_path]}
    modes = {path: mode for path, mode in modes.items() if not mode & 0o001}  # pytest keeps its folders private
    for path in store.folder.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    store.folder.chmod(0o555)
    (folder / "manifest.json").chmod(0o444 if readable else 0o000)
    try:
        for path, mode in modes.items():
            path.chmod(mode | 0o111)
        with process(as_nobody, store, readable) as child:
            child.join()
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
        for path in [store.folder, *store.folder.rglob("*")]:
            path.chmod(0o755)
    assert child.exitcode == 0


def count_and_put(folder: Path, calls: Path, start: Any) -> None:
    def compute(names: list[str]) -> Iterator[Features]:
        with calls.open("a") as stream:
            stream.write(f"{names}\n")
        time.sleep(0.2)
        return compute_of({"a": numbers(), "b": numbers(seed=1)})(names)

    start.wait()
    wanted = {name: description(name) for name in random.Random(os.getpid()).sample(["a", "b"], 2)}
    found = FeatureStore(folder).fetch(wanted, ROWS, compute)
    assert torch.equal(found["a"].rows(), numbers()) and torch.equal(found["b"].rows(), numbers(seed=1))


def test_four_processes_compute_an_entry_once(store: FeatureStore, tmp_path: Path) -> None:
    start = FORK.Barrier(4)
    children = [FORK.Process(target=count_and_put, args=(store.folder, tmp_path / "calls", start)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0] * 4
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def hold(store: FeatureStore, started: Any) -> None:
    def compute(names: list[str]) -> Iterator[Features]:
        yield {name: numbers(3) for name in names}
        worker = FORK.Process(target=time.sleep, args=(20,))  # as a data loader's worker, which outlives the crash
        worker.start()
        started.put(worker.pid)
        time.sleep(20)

    store.fetch({"clip": description()}, ROWS, compute)


def test_a_crashed_holder_does_not_block(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    started = FORK.Queue()
    with process(hold, store, started) as child:
        worker = started.get(timeout=20)
        assert remove_leftovers(StoreFolder(store.folder)) == 0 and len(files_of(store.folder)) == 1
        threading.Timer(0.3, os.kill, (child.pid, signal.SIGKILL)).start()
        begin = time.monotonic()
        try:
            found = put(store)
            assert time.monotonic() - begin < 10
        finally:
            os.kill(worker, signal.SIGKILL)
    assert torch.equal(found.rows(), numbers())
    assert f"Another process computes the features {found.folder.name[:12]}, waiting" in capsys.readouterr().out
    assert len(files_of(store.folder)) == 2 and list((store.folder / "partial").iterdir()) == []


def write_for_ever(folder: Path) -> None:
    """Write, find, damage, evict: everything that changes a store, over and over."""
    warnings.simplefilter("ignore")
    rows = {name: numbers(300, seed=seed, width=512) for seed, name in enumerate("abc")}
    store = FeatureStore(folder, limit=1_500_000)  # two of the three
    for turn in range(10**6):
        names = random.sample("abc", 2)
        store.fetch({name: description(name) for name in names}, 300, compute_of(rows, batch=50))
        if turn % 3 == 2 and (found := store.find(description(names[0]))):
            content = (found.folder / "rows.npy").read_bytes()
            replacement = found.folder / "manifest.json.new"
            replacement.write_bytes(content[:10])
            replacement.rename(found.folder / "manifest.json")


def test_a_killed_writer_leaves_a_valid_store(store: FeatureStore) -> None:
    moments, layout, leftovers = random.Random(0), StoreFolder(store.folder), 0
    for _ in range(20):
        with process(write_for_ever, store.folder) as child:
            time.sleep(moments.uniform(0.01, 0.15))
        assert child.exitcode == -signal.SIGKILL
        leftovers += len(layout.partials())
        # The writer damages manifests on purpose; nothing else may be wrong.
        problems = [problem for folder in layout.entries() if (problem := damage_of(folder))]
        assert all("manifest.json is no JSON" in problem for problem in problems), problems
    assert leftovers > 0  # some moments were in the middle of a write
    begin = time.monotonic()
    put(store)
    assert time.monotonic() - begin < 5
    assert layout.partials() == []
    assert damage_of(layout.entry(key_of(description()))) == ""


def test_an_entry_that_another_process_evicts_stays_readable(store: FeatureStore) -> None:
    rows = numbers(500)
    found = put(store, rows=rows)
    before = found.rows(0, 250)
    with process(put, FeatureStore(store.folder, limit=0), "aux") as child:
        child.join()
    assert child.exitcode == 0 and not found.folder.exists()
    assert torch.equal(torch.cat([before, found.rows(250)]), rows)


def test_threads_and_forked_processes_read_one_open_file(store: FeatureStore) -> None:
    rows = numbers(2000)
    found = put(store, rows=rows)
    wrong: list[int] = []

    def read_all() -> None:
        wrong.extend(i for i in range(0, 2000, 10) if not torch.equal(found.rows(i, i + 10), rows[i : i + 10]))
        if wrong:
            sys.exit(1)

    with process(read_all) as child:
        threads = [threading.Thread(target=read_all) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        child.join()
    assert not wrong and child.exitcode == 0
