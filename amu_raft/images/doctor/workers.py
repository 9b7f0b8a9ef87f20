"""Look at many images in worker processes, a few chunks ahead, surviving the death of a worker."""

import contextlib
import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import TypeVar

from amu_raft.progress import progress

T = TypeVar("T")
Look = Callable[[str], T]  # a function of a module, which workers find by its name
CHUNK = 64  # images that a worker gets at a time
AHEAD = 4  # chunks per worker that wait or are done: memory does not grow with the number of images


def look_at_all(
    paths: Sequence[str], look: Look[T], *, lost: Look[T], title: str, workers: int | None = None
) -> Iterator[T]:
    """Yield what is seen of each image, in order.

    Args:
        paths: Images.
        look: What is done with each.
        lost: What is said of an image that a worker died of.
        title: What the progress bar says.
        workers: Processes; the number of processors if None. One chunk of images needs none.
    """
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    if len(chunks) < 2:
        yield from map(look, progress(paths, title))
        return
    workers = min(workers or os.cpu_count() or 1, len(chunks))
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(workers, context()))
        waiting: deque[Future[list[T]]] = deque()
        upcoming = iter(chunks)
        for chunk in progress(chunks, title):
            while len(waiting) <= AHEAD * workers and (following := next(upcoming, None)) is not None:
                try:
                    waiting.append(pool.submit(look_at_chunk, look, following))
                except BrokenProcessPool:
                    pool = stack.enter_context(ProcessPoolExecutor(workers, context()))
                    waiting.append(pool.submit(look_at_chunk, look, following))
            yield from _result(waiting.popleft(), chunk, look, lost)


def context() -> BaseContext:
    """Return how workers are started: by forking where that is usual, which spares each the import of torch."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else None)


def look_at_chunk(look: Look[T], paths: Sequence[str]) -> list[T]:
    """Do a worker's part."""
    return [look(path) for path in paths]


def _result(future: "Future[list[T]]", chunk: Sequence[str], look: Look[T], lost: Look[T]) -> list[T]:
    """Return what was seen; where the worker died, each image gets a worker that may die of it."""
    try:
        return future.result()
    except BrokenProcessPool:
        return [_alone(path, look, lost) for path in chunk]


def _alone(path: str, look: Look[T], lost: Look[T]) -> T:
    with ProcessPoolExecutor(1, context()) as pool:
        try:
            return pool.submit(look_at_chunk, look, [path]).result()[0]
        except BrokenProcessPool:
            return lost(path)
