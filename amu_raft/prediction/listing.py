"""Which pictures are meant: one path after the other, never all at once."""

# Paths are shown as they were given, and Path would shorten "./a".
# ruff: noqa: PTH112, PTH113, PTH114, PTH118

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from dassl.utils.image_names import is_image, is_ours

STDIN = "-"


class Listed(NamedTuple):
    """A path to read, or one that leads nowhere and why."""

    path: str
    error: str = ""


def list_pictures(
    paths: Iterable[str], stdin: IO[bytes] | None = None, *, without: str | None = None
) -> Iterator[Listed]:
    """Yield the pictures that command line arguments stand for, in order.

    Args:
        paths: Files, which are taken whatever their names; folders, of which the pictures at any depth are taken in
            the order of their names; "-" for paths, one per line.
        stdin: Where "-" reads them; None if that is closed.
        without: A folder of which no picture is meant, as overlays are written to it.
    """
    for path in paths:
        if path != STDIN:
            yield from _of_path(path, without)
        elif stdin is None:
            yield Listed(path, "standard input is closed")
        else:
            for line in stdin:
                if name := os.fsdecode(line).rstrip("\r\n"):
                    yield from _of_path(name, without)


def _of_path(path: str, without: str | None) -> Iterator[Listed]:
    if "\0" in path:
        yield Listed(path, "a path cannot hold a zero byte")
    elif _is_same(path, without):
        yield Listed(path, "overlays are written to this folder; give another by --explain")
    elif os.path.isdir(path):
        found = False
        for listed in _below(path, without):
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


def _is_same(folder: str, without: str | None) -> bool:
    try:
        return without is not None and Path(folder).samefile(without)
    except OSError:  # one of them is gone
        return False


def _below(folder: str, without: str | None) -> Iterator[Listed]:
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
            if is_ours(name) and not os.path.islink(path) and not _is_same(path, without):
                yield from _below(path, without)
        elif is_image(name):
            yield from _of_path(path, without)
