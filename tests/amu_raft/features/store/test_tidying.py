import fcntl
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amu_raft.features.extraction import Features
from amu_raft.features.store import FeatureStore, key_of
from amu_raft.features.store.layout import StoreFolder
from amu_raft.features.store.tidying import damage_of, evict, remove_damaged, remove_leftovers, remove_locks
from tests.amu_raft.features.store.samples import FORK, ROWS, description, files_of, numbers, process, put


@pytest.fixture
def layout(tmp_path: Path) -> StoreFolder:
    return StoreFolder(tmp_path / "store")


def put_in(layout: StoreFolder, *names: str) -> None:
    for name in names:
        put(FeatureStore(layout.path), name)


def write_slowly(folder: Path, started: Any, go_on: Any) -> None:
    def compute(names: list[str]) -> Iterator[Features]:
        yield {name: numbers(3) for name in names}
        started.set()
        go_on.wait(20)
        yield {name: numbers(4, seed=1) for name in names}

    FeatureStore(folder).fetch({"clip": description()}, ROWS, compute)


def test_what_is_being_written_is_left_alone(layout: StoreFolder) -> None:
    put_in(layout, "clip", "aux")
    key = key_of(description())
    (layout.entry(key) / "manifest.json").write_text("{}")  # so that it is written anew
    started, go_on = FORK.Event(), FORK.Event()
    with process(write_slowly, layout.path, started, go_on) as child:
        assert started.wait(20)
        assert remove_leftovers(layout) == 0 and remove_damaged(layout) == 0 and remove_locks(layout) == 0
        assert evict(layout, 0) == 1 and [folder.name for folder in layout.entries()] == [key]
        assert len(layout.partials()) == 1
        assert remove_locks(layout) == 1 and layout.lock_keys() == [key]
        go_on.set()
        child.join(20)
    assert child.exitcode == 0 and damage_of(layout.entry(key)) == ""


def test_damaged_entries_are_removed_and_others_stay(layout: StoreFolder) -> None:
    put_in(layout, "a", "b", "c")
    first, second, third = layout.entries()
    (first / "manifest.json").unlink()
    os.truncate(second / "rows.npy", 3)
    assert damage_of(first) and damage_of(second) and not damage_of(third) and not damage_of(layout.path / "none")
    assert remove_damaged(layout) == 2 and layout.entries() == [third] and layout.partials() == []


def test_an_entry_that_is_mended_meanwhile_stays(layout: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(layout, "a")
    answers = iter(["damaged", ""])  # before and under the lock
    monkeypatch.setattr("amu_raft.features.store.tidying.damage_of", lambda folder: next(answers))
    assert remove_damaged(layout) == 0 and len(layout.entries()) == 1


def test_damaged_entries_count_towards_the_limit(layout: StoreFolder) -> None:
    put_in(layout, "a", "b")
    old, new = layout.entries()
    (new / "manifest.json").unlink()
    assert evict(layout, (new / "rows.npy").stat().st_size) == 1
    assert layout.entries() == [new] and not old.exists()


def test_leftovers_of_dead_processes_are_removed(layout: StoreFolder) -> None:
    put_in(layout, "a")
    keys = [key_of(description(name)) for name in ("x", "x", "y")]
    for key in keys:
        layout.new_partial(key).mkdir()
        (layout.partials()[-1][1] / "rows.npy").touch()
    assert remove_leftovers(layout) == 2 and layout.partials() == [] and len(layout.entries()) == 1


def test_what_is_no_part_of_a_store_is_never_removed(layout: StoreFolder) -> None:
    """Someone may call it with --store at a folder of his own."""
    key = "ab" * 32
    foreign = ["ab/notes", f"cd/{key}", f"xy/{key}", f"ab/{key[:-1]}", "partial/thesis", f"partial/{key}", "ab/cd"]
    for name in foreign:
        (layout.path / name).mkdir(parents=True)
        (layout.path / name / "file.txt").write_text("mine")
    (layout.path / "locks").mkdir()
    (layout.path / "locks" / "mine.lock").touch()
    (layout.path / "ab" / f"{key}").touch()  # a file
    before = sorted(layout.path.rglob("*"))
    assert [evict(layout, 0), remove_damaged(layout), remove_leftovers(layout), remove_locks(layout)] == [0] * 4
    assert sorted(layout.path.rglob("*")) == before


def test_an_entry_that_cannot_be_removed_is_not_counted(layout: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: StoreFolder, key: str) -> None:
        raise PermissionError(13, "Permission denied")

    put_in(layout, "a", "b")
    monkeypatch.setattr(StoreFolder, "discard", refuse)
    assert evict(layout, 0) == 0 and len(layout.entries()) == 2


def test_an_entry_vanishes_in_one_step(layout: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in(layout, "a")
    monkeypatch.setattr("shutil.rmtree", lambda *arguments, **options: None)  # killed before it
    assert evict(layout, 0) == 1
    assert layout.entries() == [] and len(layout.partials()) == 1 and len(files_of(layout.path)) == 2
    monkeypatch.undo()
    assert remove_leftovers(layout) == 1 and files_of(layout.path) == []


def test_locks_of_entries_that_are_gone_are_removed(layout: StoreFolder) -> None:
    put_in(layout, "a", "b")
    assert len(layout.lock_keys()) == 2 and remove_locks(layout) == 0
    assert evict(layout, 0) == 2 and remove_locks(layout) == 2 and layout.lock_keys() == []


def take_turns(layout: StoreFolder, key: str, stop: Any, turns: Any) -> None:
    inside = layout.path / "inside"
    while not stop.is_set():
        with layout.locked([key]):
            inside.mkdir()  # fails if another process is inside
            time.sleep(random.uniform(0, 0.002))
            inside.rmdir()
            with turns.get_lock():
                turns.value += 1
        time.sleep(random.uniform(0, 0.01))


def test_nobody_meets_under_a_lock_whose_file_is_removed(layout: StoreFolder) -> None:
    key = key_of(description())
    stop, turns = FORK.Event(), FORK.Value("i", 0)
    children = [FORK.Process(target=take_turns, args=(layout, key, stop, turns)) for _ in range(3)]
    for child in children:
        child.start()
    removed, end = 0, time.monotonic() + 30
    while (removed < 30 or turns.value < 60) and time.monotonic() < end:
        removed += remove_locks(layout)
    stop.set()
    for child in children:
        child.join(20)
        child.kill()
    assert [child.exitcode for child in children] == [0] * 3
    assert removed >= 30 and turns.value >= 60


def test_a_lock_on_a_file_that_was_just_removed_does_not_count(
    layout: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiter has opened the file, and before it locks it the holder removes it and lets go."""
    key, real, calls = key_of(description()), fcntl.flock, []

    def remove_first(file: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            layout.remove_lock(key)
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with layout.locked([key]):
        monkeypatch.undo()
        assert layout.lock_keys() == [key]
        with layout.locked_if_free(key) as held:
            assert not held
    with layout.locked_if_free(key) as held:
        assert held and len(calls) > 1
