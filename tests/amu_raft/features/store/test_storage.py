import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from amu_raft.features.extraction import Features
from amu_raft.features.store import FeatureStore, key_of
from amu_raft.features.store.layout import StoreFolder
from tests.amu_raft.features.store.samples import (
    ROWS,
    compute_of,
    damage,
    description,
    files_of,
    numbers,
    put,
    refuse,
)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def test_what_is_there_is_not_computed_again(store: FeatureStore) -> None:
    assert store.find(description()) is None and not store.folder.exists()
    put(store)
    found = store.find(description())
    assert found is not None and torch.equal(found.rows(), numbers())
    again = FeatureStore(store.folder).fetch({"clip": description()}, ROWS, refuse)["clip"]
    assert torch.equal(again.rows(), numbers())
    assert store.find(description(view=1)) is None


def test_only_what_is_missing_is_computed_in_one_pass(store: FeatureStore) -> None:
    put(store, "b", numbers(seed=1))
    asked = []
    tensors = {name: numbers(seed=seed) for seed, name in enumerate("abc")}

    def compute(names: list[str]) -> Iterator[Features]:
        asked.append(names)
        return compute_of(tensors)(names)

    found = store.fetch({name: description(name) for name in "cba"}, ROWS, compute)
    assert asked == [["c", "a"]] and list(found) == ["c", "b", "a"]
    for name, rows in tensors.items():
        assert torch.equal(found[name].rows(), rows)


def test_two_names_for_the_same_features_share_an_entry(store: FeatureStore) -> None:
    wanted = {"clip": description(), "aux": description()}
    found = store.fetch(wanted, ROWS, compute_of({"clip": numbers()}))
    assert found["clip"].folder == found["aux"].folder and torch.equal(found["aux"].rows(), numbers())
    assert store.fetch({}, ROWS, refuse) == {}


def test_a_damaged_entry_is_computed_again_with_one_warning(store: FeatureStore) -> None:
    folder = put(store).folder
    damage(folder)
    with pytest.warns(UserWarning, match=r"damaged and computed again: .*rows.npy has sha256") as caught:
        found = put(store, rows=numbers(seed=1))
    assert len(caught) == 1 and str(folder) in str(caught[0].message)
    assert torch.equal(found.rows(), numbers(seed=1)) and len(files_of(store.folder)) == 2
    damage(folder)
    with pytest.warns(UserWarning, match="damaged") as caught:
        assert store.find(description()) is None
    assert len(caught) == 1


def test_another_entrys_folder_is_not_taken(store: FeatureStore) -> None:
    other = put(store, "aux", numbers(seed=1)).folder
    folder = put(store).folder
    for name in ("rows.npy", "manifest.json"):
        (folder / name).write_bytes((other / name).read_bytes())
    with pytest.warns(UserWarning, match=f"manifest.json belongs to the entry {other.name}"):
        assert torch.equal(put(store).rows(), numbers())


def test_an_entry_with_other_rows_than_wanted_is_an_error(store: FeatureStore) -> None:
    put(store)
    with pytest.raises(ValueError, match=r"clip: .* has 7 rows, 8 are wanted"):
        store.fetch({"clip": description()}, 8, refuse)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FileNotFoundError("no image x.jpg"), ValueError("odd")])
def test_a_computation_that_fails_leaves_nothing_and_keeps_its_error(store: FeatureStore, error: BaseException) -> None:
    def compute(names: list[str]) -> Iterator[Features]:
        yield {name: numbers(3) for name in names}
        raise error

    with pytest.raises(type(error)) as caught:
        store.fetch({"clip": description(), "aux": description("aux")}, ROWS, compute)
    assert caught.value is error
    assert files_of(store.folder) == [] and list((store.folder / "partial").iterdir()) == []
    assert torch.equal(put(store).rows(), numbers())  # no lock is left


def test_nothing_is_visible_before_all_is_complete(store: FeatureStore) -> None:
    rows = {"a": numbers(), "b": numbers()[:6]}
    with pytest.raises(ValueError, match="6 of 7 announced"):
        store.fetch({name: description(name) for name in rows}, ROWS, compute_of(rows, batch=7))
    assert files_of(store.folder) == []


def test_a_computation_must_yield_what_is_asked_for(store: FeatureStore) -> None:
    wanted = {"clip": description(), "aux": description("aux")}
    with pytest.raises(ValueError, match=r"features \['aux'\] were asked for, \['clip'\] have come"):
        store.fetch(wanted, ROWS, lambda names: iter([{"clip": numbers()}]))


def test_a_store_that_cannot_be_written_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = FeatureStore(tmp_path / "file" / "store")
    with pytest.raises(OSError, match=r"feature store .*file/store cannot be used .*AMU_RAFT_CACHE"):
        store.fetch({"clip": description()}, ROWS, refuse)


def use_at(store: FeatureStore, seconds: int, *names: str) -> None:
    for name in names:
        os.utime(StoreFolder(store.folder).entry(key_of(description(name))), (seconds, seconds))


def test_what_was_not_used_for_longest_is_evicted(store: FeatureStore) -> None:
    for name in "abc":
        put(store, name)
    size = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file()) // 3
    use_at(store, 1000, "a")
    use_at(store, 2000, "b", "c")
    assert store.find(description("a"))  # used now
    put(FeatureStore(store.folder, limit=3 * size + size // 2), "d")
    left = [name for name in "abcd" if store.find(description(name))]
    assert "a" in left and "d" in left and len(left) == 3


def test_a_limit_below_one_entry_keeps_what_was_asked_for(store: FeatureStore) -> None:
    small = FeatureStore(store.folder, limit=1)
    put(store, "old")
    wanted = {name: description(name) for name in "ab"}
    found = small.fetch(wanted, ROWS, compute_of({"a": numbers(), "b": numbers()}))
    assert small.find(description("old")) is None
    assert all(torch.equal(entry.rows(), numbers()) for entry in found.values())
    small.fetch(wanted, ROWS, refuse)
    put(small, "c")
    assert [name for name in "abc" if small.find(description(name))] == ["c"]


def test_an_entry_evicted_while_it_is_found_is_still_read(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(folder: Path) -> None:
        StoreFolder(store.folder).discard(folder.name)
        raise FileNotFoundError(folder)

    put(store)
    monkeypatch.setattr(os, "utime", lose)
    found = store.find(description())
    assert found is not None and torch.equal(found.rows(), numbers())


def test_an_entry_gets_its_name_in_one_step(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Path, target: Path) -> None:
        seen.append((self.parent.name, target, target.exists(), sorted(path.name for path in self.iterdir())))
        raise OSError(18, "Invalid cross-device link")

    seen: list[object] = []
    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(OSError, match=r"cannot be used \(.*cross-device"):
        put(store)
    folder = StoreFolder(store.folder).entry(key_of(description()))
    assert seen == [("partial", folder, False, ["manifest.json", "rows.npy"])] and not folder.exists()
    assert list((store.folder / "partial").iterdir()) == []


def test_leftovers_of_an_entry_make_room_before_it_is_written(store: FeatureStore) -> None:
    layout = StoreFolder(store.folder)
    layout.new_partial(key_of(description())).mkdir(parents=True)

    def compute(names: list[str]) -> Iterator[Features]:
        assert len(layout.partials()) == 1  # the new one
        return compute_of({"clip": numbers()})(names)

    store.fetch({"clip": description()}, ROWS, compute)
    assert layout.partials() == []
