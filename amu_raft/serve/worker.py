"""One thread that computes: requests wait in a queue of bounded length instead of sharing the cores."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

Result = TypeVar("Result")


class BusyError(RuntimeError):
    """The queue is full."""


class AbandonedError(RuntimeError):
    """Nobody waits for the result any more."""


class _Job(NamedTuple):
    work: Callable[[], Any]
    future: "Future[Any]"


class Worker:
    """Run jobs one after the other in a thread of their own.

    A thread cannot be stopped from outside. A job whose future is cancelled is therefore skipped if it has not begun,
    and a longer one looks between its parts whether anybody still waits.

    Args:
        waiting: Jobs that may wait.
    """

    def __init__(self, waiting: int) -> None:
        self._jobs: queue.Queue[_Job | None] = queue.Queue(waiting)
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Let the current job end, for so long at most, and drop the waiting ones."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):  # then there is no need to wake the thread
            self._jobs.put_nowait(None)
        self._thread.join(seconds)

    def alive(self) -> bool:
        """Return whether jobs are being taken."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Queue a job.

        Raises:
            BusyError: If as many jobs as are allowed wait already.
        """
        job: _Job = _Job(work, Future())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise BusyError(f"{self._jobs.maxsize} requests wait already") from None
        return job.future

    def _run(self) -> None:
        while not self._stopping.is_set():
            job = self._jobs.get()
            if job is not None:
                self._do(job)
            del job  # its pictures, while the next one is waited for
        with contextlib.suppress(queue.Empty):
            while True:
                if (left := self._jobs.get_nowait()) is not None:
                    left.future.cancel()

    def _do(self, job: _Job) -> None:
        if self._stopping.is_set():
            job.future.cancel()
        elif job.future.set_running_or_notify_cancel():
            _finish(job)


def _finish(job: _Job) -> None:
    try:
        result = job.work()
    except BaseException as error:  # the thread must outlive every job; whoever waits gets the error
        job.future.set_exception(error)
    else:
        job.future.set_result(result)
