import io
import multiprocessing
import os
import signal
import threading

import pytest

from amu_raft.downloads.progress import byte_bar


def test_the_bar_shows_rate_and_time_left_from_where_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    bar = byte_bar("a.zip", 4096, start=1024)
    bar.delay = 0
    bar.refresh()
    shown = terminal.getvalue()
    assert "a.zip:  25%" in shown and "1.00k/4.00k" in shown and "B/s" in shown
    bar.close()


def test_the_bar_is_silent_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    with byte_bar("a.zip", None) as bar:
        bar.update(10)
    assert capsys.readouterr().err == ""


def take_the_lock() -> None:
    byte_bar("a.zip", None).get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_child_killed_while_it_draws_does_not_block_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    byte_bar("a.zip", None).close()  # whatever children inherit is there
    child = multiprocessing.get_context("fork").Process(target=take_the_lock)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    drawn = threading.Thread(target=lambda: byte_bar("a.zip", None).close(), daemon=True)
    drawn.start()
    drawn.join(5)
    assert not drawn.is_alive()
