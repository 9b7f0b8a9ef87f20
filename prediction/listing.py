"""Which pictures are meant: one path after the other, never all at once."""

# Paths are shown as they were given, and Path would shorten "./a".
# ruff: noqa: PTH112, PTH113, PTH114, PTH118

import os
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from dassl.utils.image_names import is_image, is_ours

STDIN = "-"


class Listed(NamedTuple):
    """A path to read, or one that leads nowhere and why."""

    path: str
    error: str = ""


def list_pictures(paths: Iterable[str], stdin: IO[bytes]) -> Iterator[Listed]:
    """Yield the pictures that command line arguments stand for, in order.

    Args:
        paths: Files, which are taken whatever their names; folders, of which the pictures at any depth are taken in
            the order of their names; "-" for paths, one per line.
        stdin: Where "-" reads them.
    """
    for path in paths:
        if path == STDIN:
            for line in stdin:
                if name := os.fsdecode(line).rstrip("\r\n"):
                    yield from _of_path(name)
        else:
            yield from _of_path(path)


def _of_path(path: str) -> Iterator[Listed]:
    if "\0" in path:
        yield Listed(path, "a path cannot hold a zero byte")
    elif os.path.isdir(path):
        found = False
        for listed in _below(path):
            found = True
            yield listed
        if not found:
            yield Listed(path, "no picture in this folder")
    elif not os.path.lexists(path):
        yield Listed(path, "no such file")
    elif not os.path.isfile(path):  # a pipe or a device would be waited for
        yield Listed(path, "not a file")
    else:
        yield Listed(path)


def _below(folder: str) -> Iterator[Listed]:
    """Yield a folder's pictures; of one folder at a time the names are held. Links to folders are not followed."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        yield Listed(folder, f"the folder cannot be read: {error.strerror}")
        return
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            if is_ours(name) and not os.path.islink(path):
                yield from _below(path)
        elif is_image(name):
            yield from _of_path(path)
