import os
import subprocess
import sys
from pathlib import Path

import pytest

from amu_raft.features.store import FeatureStore, default_folder
from amu_raft.features.store.__main__ import main
from amu_raft.features.store.layout import StoreFolder
from tests.amu_raft.features.store.samples import files_of, numbers, put


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def call(store: FeatureStore, *argv: str) -> int:
    return main([*argv, "--store", str(store.folder)])


def test_ls_shows_the_least_recently_used_first(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    put(store, "maps", numbers(7, width=50_000).half())
    other = put(store, "texts", encoder="plain words").folder
    os.utime(other, (1000, 1000))
    odd = put(store, "odd", encoder=None).folder
    (odd / "manifest.json").unlink()
    assert call(store, "ls") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "feature" in lines[0] and len(lines) == 6
    for word in (other.name[:12], "texts", "plain words", "1970-01-01"):
        assert word in lines[2]
    table = "\n".join(lines)
    assert "maps" in table and "RN50" in table and "7 x 50000" in table and "float16" in table and "0.7" in table
    assert f"| {odd.name[:12]} | damaged " in table
    assert lines[-1] == f"3 entries, 0.7 MiB in {store.folder}"


def test_ls_bears_any_description(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.fetch({"x": {"encoder": {}}}, 7, lambda names: [{"x": numbers()}])
    assert call(store, "ls") == 0 and capsys.readouterr().out.splitlines()[2].count("| ?") == 2


def test_verify_names_damage(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    put(store, "a")
    assert call(store, "verify") == 0 and capsys.readouterr().out == "1 of 1 entries are whole\n"
    path = put(store, "b").folder / "rows.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert call(store, "verify") == 1
    out, err = capsys.readouterr()
    assert err.startswith(f"damaged: {path} has sha256 ") and err.count("\n") == 1
    assert out.startswith("1 of 2 entries are whole; damaged ones are computed again")


def test_gc_removes_what_is_of_no_use(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    layout = StoreFolder(store.folder)
    for name in "abc":
        put(store, name)
    first, second, third = layout.entries()
    os.truncate(first / "rows.npy", 10)
    layout.new_partial("0" * 64).mkdir()
    os.utime(second, (1000, 1000))
    assert call(store, "gc") == 0
    assert "Removed 1 unfinished, 1 damaged and 0 old entries and 2 idle locks" in capsys.readouterr().out
    assert call(store, "gc", "--limit", "1K") == 0
    assert "0 unfinished, 0 damaged and 1 old entries and 1 idle locks" in capsys.readouterr().out
    assert layout.entries() == [third] and layout.lock_keys() == [third.name]
    assert call(store, "gc", "--limit", "0") == 0 and files_of(store.folder) == [] and layout.lock_keys() == []


def test_an_absent_store_is_empty_and_stays_absent(store: FeatureStore, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("ls", "verify"):
        assert call(store, command) == 0
        assert capsys.readouterr().out == f"The feature store {store.folder} is empty\n"
    assert call(store, "gc") == 0 and "Removed 0 unfinished" in capsys.readouterr().out
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["clean"], "invalid choice: 'clean'"),
        ([], "required: command"),
        (["gc", "--limit", "10X"], "'10X' is no size; give a whole number with B, K, M, G or T, such as 50G"),
        (["gc", "--limit", "-1"], "limit"),
        (["gc", "--limit", ""], "'' is no size"),
        (["gc", "--limit", "1.5G"], "'1.5G' is no size"),
        (["gc", "--limit", "²"], "is no size"),
        (["ls", "--limit", "10G"], "--limit is for gc, ls removes nothing"),
        (["ls", "--store", __file__], f"--store {__file__} is no folder"),
    ],
)
def test_bad_arguments_are_named(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]


def test_a_store_that_may_not_be_read_is_one_line(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deny(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    put(store)
    monkeypatch.setattr("amu_raft.features.store.tidying.read_entry", deny)
    assert call(store, "verify") == 2
    assert capsys.readouterr().err.startswith("error: [Errno 13] Permission denied: ")
    assert call(store, "gc") == 2 and len(files_of(store.folder)) == 2


def test_the_command_itself(private_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder() == private_folders / "amu-raft" / "features"
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path))
    command = [sys.executable, "-m", "amu_raft.features.store", "ls"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == f"The feature store {default_folder()} is empty\n", done.stderr
