import errno
import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.runs.folder_lock import LOCK_FILE, folder_locked, in_use

Train = Callable[..., Any]
Held = Callable[[Path], Any]


def test_one_process_at_a_time_and_a_killed_one_blocks_none(held: Held, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with held(folder):
        for _ in range(2):
            with pytest.raises(RuntimeError, match="another process is at work in run folder"), folder_locked(folder):
                pass
    assert (folder / LOCK_FILE).exists()  # it was killed
    with folder_locked(folder):
        assert (folder / LOCK_FILE).exists()
    assert list(folder.iterdir()) == []


def test_where_nothing_can_be_locked_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with folder_locked(tmp_path / "run"):
        pass
    (tmp_path / "file").touch()
    with folder_locked(tmp_path / "file"):
        pass
    assert (tmp_path / "file").is_file()


def test_a_lock_that_its_holder_has_just_removed_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lockf, calls = fcntl.lockf, []

    def late(file: Any, how: int) -> None:
        calls.append(file)
        if len(calls) == 1:
            (tmp_path / LOCK_FILE).unlink()
        lockf(file, how)

    monkeypatch.setattr(fcntl, "lockf", late)
    with folder_locked(tmp_path):
        assert len(calls) == 2 and (tmp_path / LOCK_FILE).exists()


def test_a_second_run_is_refused_in_one_line_and_changes_nothing(held: Held, train_main: Train, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with held(folder):
        run = train_main("ZeroshotCLIP", folder=folder)
        assert run.status == 1 and run.error == f"error: {in_use(folder)}"
        assert [path.name for path in folder.iterdir()] == [LOCK_FILE]
    assert train_main("ZeroshotCLIP", folder=folder).status == 0
    assert not (folder / LOCK_FILE).exists()
