"""Reading pictures ahead of the encoder, in threads: decoding and resizing leave Python's lock to others."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from PIL import Image
from torch import Tensor

from amu_raft.images.pixels import PixelRecipe
from amu_raft.prediction.listing import Listed
from dassl.utils.images import reason_of

ReadImage = Callable[[str], Image.Image]
AHEAD = 4  # pictures that each thread may be ahead of the batch being encoded


class Picture(NamedTuple):
    """A path with what the encoders see, (size, size, 3), uint8, or why there is nothing to see."""

    path: str
    square: Tensor | None
    error: str = ""


def read_pictures(
    listed: Iterable[Listed], recipe: PixelRecipe, read_image: ReadImage, *, workers: int, ahead: int
) -> Iterator[Picture]:
    """Yield pictures in order while others are read.

    Args:
        listed: The paths; taken as they are needed.
        recipe: How a picture is cropped.
        read_image: Returns a file as RGB, and raises OSError with one line at what is no picture.
        workers: Threads.
        ahead: Pictures that are read while the caller is busy.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    waiting: deque[Future[Picture]] = deque()
    try:
        for item in listed:
            waiting.append(pool.submit(_read, item, recipe, read_image))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _read(item: Listed, recipe: PixelRecipe, read_image: ReadImage) -> Picture:
    if item.error:
        return Picture(item.path, None, item.error)
    try:
        return Picture(item.path, recipe.square(read_image(item.path)))
    except (OSError, ValueError, MemoryError) as error:
        return Picture(item.path, None, reason_of(error) or type(error).__name__)


def batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Group pictures so that each group has at most ``size`` readable ones, and few unreadable ones without any."""
    group: list[Picture] = []
    readable = 0
    for picture in pictures:
        group.append(picture)
        readable += picture.square is not None
        if readable == size or len(group) == 4 * size:
            yield group
            group, readable = [], 0
    if group:
        yield group
