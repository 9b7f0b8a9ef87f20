"""Images that look cut off, told by a glance at their last bytes."""

import os
from collections.abc import Sequence

from features.extraction import progress

MOST_IMAGES = 120_000  # of a set that is looked at; more would take too long for a command that is run often
TAIL = 1024  # some cameras and editors write a little after the end mark
MARKS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND"))  # first bytes and end mark of JPEG and PNG


def cut_off_images(paths: Sequence[str], *, title: str) -> list[str]:
    """Return the JPEG and PNG images without an end mark; published sets hold a few, so that they are no proof.

    Args:
        paths: Images; if there are more than ``MOST_IMAGES``, none is looked at.
        title: What the progress bar says.
    """
    if len(paths) > MOST_IMAGES:
        return []
    return [path for path in progress(list(paths), title) if _lacks_end(path)]


def _lacks_end(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (a Path for each of many files is slow)
            head = file.read(4)
            mark = next((end for start, end in MARKS if head.startswith(start)), None)
            if mark is None:
                return False
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            return mark not in file.read(TAIL)
    except OSError:
        return False
