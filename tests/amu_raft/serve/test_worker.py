import threading
import time

import pytest

from amu_raft.serve.limits import Limits
from amu_raft.serve.worker import BusyError, Worker


@pytest.fixture
def held() -> tuple[Worker, threading.Event, threading.Event]:
    worker, go, begun = Worker(2), threading.Event(), threading.Event()
    worker.start()

    def work() -> bool:
        begun.set()
        return go.wait(10)

    worker.submit(work)
    assert begun.wait(10)
    return worker, go, begun


def test_results_and_errors_reach_whoever_waits() -> None:
    worker = Worker(4)
    worker.start()
    bad, good = worker.submit(lambda: 1 // 0), worker.submit(lambda: 7)
    assert isinstance(bad.exception(10), ZeroDivisionError) and good.result(10) == 7 and worker.alive()
    worker.stop()
    assert not worker.alive()


def test_full_queue_is_refused(held: tuple[Worker, threading.Event, threading.Event]) -> None:
    worker, go, _ = held
    waiting = [worker.submit(lambda: 1), worker.submit(lambda: 2)]
    with pytest.raises(BusyError, match="2 requests"):
        worker.submit(lambda: 3)
    go.set()
    assert [future.result(10) for future in waiting] == [1, 2]
    worker.stop()


def test_cancelled_jobs_never_begin(held: tuple[Worker, threading.Event, threading.Event]) -> None:
    worker, go, _ = held
    done: list[int] = []
    skipped, kept = worker.submit(lambda: done.append(1)), worker.submit(lambda: done.append(2))
    assert skipped.cancel()
    go.set()
    kept.result(10)
    assert done == [2]
    worker.stop()


def test_stopping_drops_what_waits(held: tuple[Worker, threading.Event, threading.Event]) -> None:
    worker, go, _ = held
    dropped = [worker.submit(lambda: 1), worker.submit(lambda: 2)]  # the queue is full, so that no end mark fits
    threading.Timer(0.2, go.set).start()
    begun = time.monotonic()
    worker.stop(10)
    assert time.monotonic() - begun < 5
    assert all(future.cancelled() for future in dropped) and not worker.alive()


@pytest.mark.parametrize("name", ["file_bytes", "seconds", "requests"])
def test_limits_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        Limits(**{name: 0})
