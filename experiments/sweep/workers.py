"""Do tasks in processes of their own: one that dies takes its task with it and nothing else."""

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Generic, TypeVar

from amu_raft.errors import described

Item = TypeVar("Item")
Value = TypeVar("Value")

POLL_SECONDS = 1.0  # a child of a killed worker may hold its pipe open for some seconds: ask for the worker as well
LEAVE_SECONDS = 3.0  # for a worker to remove its temporary files


@dataclass(frozen=True)
class Done(Generic[Item, Value]):
    """A task that came to an end: its value, or the error as one line."""

    item: Item
    value: Value | None
    seconds: float
    error: str | None


def in_processes(
    function: Callable[[Item], Value], items: Sequence[Item], environments: Sequence[Mapping[str, str]]
) -> Generator[Done[Item, Value], None, None]:
    """Call a function with every item and yield what comes of it, in the order of completion.

    Closing the iterator early, or an exception where it is consumed, ends all processes at once.

    Args:
        function: Can be pickled, as can the items and values.
        items: Handed out in this order.
        environments: Environment variables of each process; one process is started for each, but no more than items.

    Yields:
        One ``Done`` per item, also for the one whose process was killed.
    """
    waiting = deque(items)
    workers = [_Worker(function, environment) for environment in environments[: len(items)]]
    try:
        for worker in workers:
            worker.start()
            worker.give(waiting.popleft())
        while busy := [worker for worker in workers if worker.busy]:
            wait([worker.connection for worker in busy], timeout=POLL_SECONDS)
            for worker in busy:
                if (done := worker.collect()) is None:
                    continue
                if waiting:
                    worker.give(waiting.popleft())
                yield done
    finally:
        _stop(workers)


class _Worker:
    """A process and the task that it is doing."""

    def __init__(self, function: Callable[[Any], Any], environment: Mapping[str, str]) -> None:
        self.function, self.environment = function, dict(environment)
        self.busy = False

    def start(self) -> None:
        """Start the process; an interrupt from the keyboard goes to this process alone, which ends the others."""
        context = get_context("spawn")  # a forked process could not use CUDA
        self.connection, theirs = context.Pipe()
        _start_quiet_tracker()
        task = (theirs, self.function, self.environment)
        self.process = context.Process(target=_serve, args=task)  # no daemon: data loaders have processes of their own
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def give(self, item: Any) -> None:
        """Hand a task to the process, a new one if it has died."""
        try:
            if not self.process.is_alive():
                raise BrokenPipeError
            self.connection.send(item)
        except OSError:
            self.end()
            self.start()
            self.connection.send(item)
        self.item, self.since, self.busy = item, time.perf_counter(), True

    def collect(self) -> Done[Any, Any] | None:
        """Return what became of the task, None while it goes on."""
        alive = self.process.is_alive()  # asked first: what it sent before it died is still there to be read
        try:
            if self.connection.poll():
                value, error, seconds = self.connection.recv()
            elif alive:
                return None
            else:
                raise EOFError
        except (EOFError, OSError):
            self.process.join(LEAVE_SECONDS)
            value, error = None, _cause_of_death(self.process.exitcode)
            seconds = time.perf_counter() - self.since
        self.busy = False
        return Done(self.item, value, seconds, error)

    def end(self, seconds: float = LEAVE_SECONDS) -> None:
        """See that the process is gone, by force if it does not leave in time; files are written in one step."""
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _start_quiet_tracker() -> None:
    """Start the process that frees what killed workers held, if none runs, without its warnings: the sweep tells."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before, "ignore:resource_tracker:UserWarning"]))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _stop(workers: Sequence[_Worker]) -> None:
    """Let idle workers leave and end the busy ones."""
    started = [worker for worker in workers if hasattr(worker, "process")]
    for worker in started:
        if worker.busy:
            worker.process.terminate()
        else:
            worker.connection.close()
    deadline = time.perf_counter() + LEAVE_SECONDS
    for worker in started:
        worker.end(max(0.0, deadline - time.perf_counter()))


def _serve(connection: Connection, function: Callable[[Any], Any], environment: Mapping[str, str]) -> None:
    """Do tasks until there is nobody who gives any."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    os.environ.update(environment)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        since = time.perf_counter()  # not when it was handed out: a new process imports torch first
        value, message = None, None
        try:
            value = function(item)
        except Exception as error:
            message = described(error)
        connection.send((value, message, time.perf_counter() - since))


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


def _cause_of_death(status: int | None) -> str:
    if status is None:
        return "its process does not answer"
    if status >= 0:
        return f"its process ended with status {status}"
    name = signal.Signals(-status).name
    return f"its process was killed by {name}" + (
        ", as the system does when memory runs out" if name == "SIGKILL" else ""
    )
