import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from experiments.sweep.workers import in_processes


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def misbehave(how: str) -> str:
    if how == "raise":
        raise ValueError("two\nlines")
    if how == "defect":
        raise TypeError("no such thing")
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "leave":
        os._exit(7)
    return os.environ.get("MARK", "")


def wait_for_ever(folder: Path, name: str) -> None:
    (folder / name).write_text(str(os.getpid()))
    if name == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / f"{name}.ready").touch()
    time.sleep(60)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_every_item_is_done_once_in_as_many_processes() -> None:
    done = list(in_processes(square, [1, 2, 3, 4, 5], [{}, {}]))
    assert sorted((task.item, task.value[0]) for task in done if task.value) == [(n, n * n) for n in range(1, 6)]
    assert len({task.value[1] for task in done if task.value}) == 2
    assert all(task.error is None and task.seconds < 1 for task in done)
    assert list(in_processes(square, [], [{}])) == []


def test_what_goes_wrong_is_told_and_the_others_go_on() -> None:
    done = list(in_processes(misbehave, ["raise", "die", "", "leave", "defect", ""], [{"MARK": "here"}]))
    assert [(task.item, task.value, task.error) for task in done] == [
        ("raise", None, "two lines"),
        ("die", None, "its process was killed by SIGKILL, as the system does when memory runs out"),
        ("", "here", None),
        ("leave", None, "its process ended with status 7"),
        ("defect", None, "TypeError: no such thing"),
        ("", "here", None),
    ]


def test_a_process_killed_from_outside_is_told(tmp_path: Path) -> None:
    tasks = in_processes(partial(wait_for_ever, tmp_path), ["one"], [{}])

    def kill() -> None:
        until((tmp_path / "one.ready").exists)
        os.kill(int((tmp_path / "one").read_text()), signal.SIGTERM)

    killer = threading.Thread(target=kill)
    killer.start()
    (done,) = tasks
    killer.join()
    assert done.error == "its process ended with status 143" and done.seconds < 60


@pytest.mark.parametrize("name", ["willing", "stubborn"])
def test_stopping_early_ends_the_processes(name: str, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def consume() -> None:
        def interrupt() -> None:
            until((tmp_path / f"{name}.ready").exists)
            os.kill(os.getpid(), signal.SIGUSR1)

        def stop(*_: object) -> None:
            raise StopError

        before = signal.signal(signal.SIGUSR1, stop)
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            list(in_processes(partial(wait_for_ever, tmp_path), [name, "never"], [{}]))
        finally:
            thread.join()
            signal.signal(signal.SIGUSR1, before)

    since = time.monotonic()
    with pytest.raises(StopError):
        consume()
    assert time.monotonic() - since < 30
    assert not running(int((tmp_path / name).read_text())) and not (tmp_path / "never").exists()


LOCKS_AND_DIES = """
import multiprocessing, os, signal, sys
sys.path[:0] = sys.argv[1:]
from experiments.sweep.workers import in_processes

def die(item):
    kept = multiprocessing.get_context("spawn").RLock()
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    print([task.error[:34] for task in in_processes(die, ["one"], [{}])], "PYTHONWARNINGS" in os.environ)
"""


def test_what_a_killed_process_held_is_freed_without_a_warning(tmp_path: Path) -> None:
    script, repository = tmp_path / "script.py", Path(__file__).parents[3]
    script.write_text(LOCKS_AND_DIES)
    command = [sys.executable, str(script), str(repository), str(repository / "toolbox")]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("['its process was killed by SIGKILL,'] False\n", "")
