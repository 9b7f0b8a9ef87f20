"""Open and decode every image, in worker processes where there are many."""

import multiprocessing
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext

from PIL import Image

from features.extraction import progress

CHUNK = 64  # images that a worker gets at a time


def damaged_images(paths: Sequence[str], *, title: str, workers: int | None = None) -> list[str]:
    """Return the images that cannot be decoded to the last pixel, in the order given.

    Args:
        paths: Images.
        title: What the progress bar says.
        workers: Processes; the number of processors if None. One chunk of images needs none.
    """
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    if len(chunks) < 2:
        return undecodable(paths)
    workers = min(workers or os.cpu_count() or 1, len(chunks))
    damaged: list[str] = []
    with ProcessPoolExecutor(workers, context()) as pool:
        futures = [pool.submit(undecodable, chunk) for chunk in chunks]
        for chunk, future in zip(chunks, progress(futures, title), strict=True):
            damaged += _result(future, chunk)
    return damaged


def context() -> BaseContext:
    """Return how workers are started: by forking where that is usual, which spares each the import of torch."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else None)


def _result(future: "Future[list[str]]", chunk: Sequence[str]) -> list[str]:
    """Return a chunk's damaged images; a worker that died is replaced by one that may die for each image."""
    try:
        return future.result()
    except BrokenProcessPool:
        return [path for path in chunk if not _survives(path)]


def _survives(path: str) -> bool:
    with ProcessPoolExecutor(1, context()) as pool:
        try:
            return not pool.submit(undecodable, [path]).result()
        except BrokenProcessPool:
            return False


def undecodable(paths: Sequence[str]) -> list[str]:
    """Return those images that cannot be decoded."""
    return [path for path in paths if not decodes(path)]


def decodes(path: str) -> bool:
    """Tell whether an image can be opened and turned into RGB, as the loaders do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no damage
            with Image.open(path) as image:
                image.convert("RGB")
    except Exception:  # decoders raise whatever the bytes lead them to
        return False
    return True
