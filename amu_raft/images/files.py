"""Images and folders of a tree."""

import os
from pathlib import Path

from dassl.utils.image_names import ENDINGS, is_image, is_ours

__all__ = ["ENDINGS", "images_below", "is_image", "is_ours", "lacks_end", "subfolders"]
_TAIL = 1024  # some cameras and editors write a little after the end mark
_MARKS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND"))  # first bytes and end mark of JPEG and PNG


def subfolders(folder: Path) -> list[Path]:
    """Return the user's sub-folders, sorted by name."""
    return sorted(sub for sub in folder.iterdir() if is_ours(sub.name) and sub.is_dir())


def images_below(folder: Path) -> list[Path]:
    """Return every image at any depth, sorted; links to folders are not followed, so that it always ends.

    Raises:
        OSError: If a folder cannot be read; its images would be missing without a word.
    """

    def stop(error: OSError) -> None:
        raise error

    found = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = filter(is_ours, folders)
        found += [Path(parent, name) for name in files if is_image(name)]
    return sorted(found)


def lacks_end(path: str) -> bool:
    """Tell a JPEG or PNG without an end mark by a glance at its last bytes; some are sound all the same."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (a Path for each of many files is slow)
            head = file.read(4)
            mark = next((end for start, end in _MARKS if head.startswith(start)), None)
            if mark is None:
                return False
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            return mark not in file.read(_TAIL)
    except OSError:
        return False
