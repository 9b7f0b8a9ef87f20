"""A run that is killed at any moment is finished by the next one."""

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

from datasets.doctor import inspect
from datasets.prepare.__main__ import main
from tests.datasets.prepare.conftest import Publisher
from tests.datasets.prepare.fault_table import OUTCOMES

MOMENTS = 20
SETS = ("Caltech101", "ImageNet", "StanfordCars", "FGVCAircraft")
GIVEN = {
    "ImageNet": ("images_train", "images_val", "val_labels"),
    "StanfordCars": ("images_train", "images_test"),
}


def command_for(publisher: Publisher, name: str) -> list[str]:
    publisher.publish(name)
    return publisher.command(name, archives=publisher.give_archives(name, *GIVEN[name]) if name in GIVEN else None)


def run_in_child(command: list[str], *, die_after: float | None = None, die_at_move: int | None = None) -> int | None:
    """Run the command in a forked process, which spares the imports.

    Args:
        command: Its arguments.
        die_after: Kill it after so many seconds, as if the power had failed.
        die_at_move: Kill it when it moves something for so manyth time, before or after doing so.

    Returns:
        Its exit status, None if it was killed.
    """
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            tqdm.set_lock(threading.RLock())  # the one it came with is shared with the parent, and dies locked
            if die_at_move is not None:
                die_when_moving(die_at_move)
            status = main(command)
        finally:
            os._exit(status)
    if die_after is not None:
        time.sleep(die_after)
        os.kill(child, signal.SIGKILL)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended) if os.WIFEXITED(ended) else None


def die_when_moving(number: int) -> None:
    """Let this process kill itself at a move, for odd numbers before it and for even ones after it."""
    moves = [0]
    names = ("rename", "replace", "rmdir", "unlink")

    def counting(name: str) -> Any:
        original = getattr(Path, name)

        def act(self: Path, *arguments: Any, **options: Any) -> Any:
            moves[0] += 1
            if moves[0] == (number + 1) // 2 and number % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            done = original(self, *arguments, **options)
            if moves[0] == (number + 1) // 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return act

    for name in names:
        setattr(Path, name, counting(name))


def whole_after_next_run(publisher: Publisher, name: str, command: list[str]) -> bool:
    """Run again, and let the doctor open every image."""
    found = inspect(publisher.entry(name), publisher.root)
    status = main(command)
    deep = inspect(publisher.entry(name), publisher.root, deep=True)
    assert (status, deep.state) == (0, "whole"), (found, deep)
    assert not (publisher.root / ".prepare").exists()
    return True


def start_over(publisher: Publisher) -> None:
    publisher.root = publisher.folder / f"data{random.randrange(10**9)}"
    publisher.root.mkdir()


@pytest.mark.datasets
@pytest.mark.parametrize("name", SETS)
def test_killed_at_random_moments(name: str, publisher: Publisher) -> None:
    """Twenty moments between the start and the end of a run; the server is slow, so that many fall into downloads."""
    for moment in range(MOMENTS):
        start_over(publisher)
        command = command_for(publisher, name)
        if moment == 0:
            began = time.perf_counter()
            assert run_in_child(command) == 0
            duration = time.perf_counter() - began
            start_over(publisher)
            command = command_for(publisher, name)
        run_in_child(command, die_after=random.Random(f"{name} {moment}").uniform(0, duration))
        assert whole_after_next_run(publisher, name, command)
        OUTCOMES.append(("SIGKILL at a random moment", "whole after the next run"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_killed_at_every_move(name: str, publisher: Publisher) -> None:
    """Before and after everything that is renamed or removed, also with images that are there already."""
    for number in range(1, 1000):
        start_over(publisher)
        command = command_for(publisher, name)
        if run_in_child(command, die_at_move=number) == 0:
            break
        assert whole_after_next_run(publisher, name, command)
        OUTCOMES.append(("SIGKILL at a move", "whole after the next run"))
    assert number > 10


@pytest.mark.parametrize("number", (3, 8, 13))
def test_killed_while_archives_are_arranged(number: int, publisher: Publisher) -> None:
    command = command_for(publisher, "ImageNet")
    assert run_in_child(command, die_at_move=number) is None
    assert whole_after_next_run(publisher, "ImageNet", command)


def test_killed_while_missing_images_are_put_into_place(publisher: Publisher) -> None:
    command = command_for(publisher, "EuroSAT")
    assert main(command) == 0
    images = sorted(publisher.root.rglob("*.jpg"))
    for path in images[::2]:
        path.unlink()
    assert run_in_child(command, die_at_move=60) is None
    there = sum(path.is_file() for path in images)
    assert len(images) // 2 < there < len(images)
    assert whole_after_next_run(publisher, "EuroSAT", command)


def test_two_runs_do_not_work_on_the_same_set(publisher: Publisher, capsys: Any) -> None:
    publisher.publish("EuroSAT")
    publisher.served("EuroSAT", "images").pause = 0.05
    first = threading.Thread(target=main, args=(publisher.command("EuroSAT"),))
    first.start()
    while not publisher.server.requests:
        time.sleep(0.01)
    assert main(publisher.command("EuroSAT")) == 1
    assert "another run is preparing it" in capsys.readouterr().out
    first.join()
    assert inspect(publisher.entry("EuroSAT"), publisher.root).state == "whole"
