"""What folders hold, read with as few system calls as a million images need."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from amu_raft.images.files import is_image
from amu_raft.wording import reason

LEAST_BYTES = 100  # no image of a benchmark is smaller


def blocked(folder: Path) -> str:
    """Say in one phrase why a path cannot serve as a folder; empty if it is one."""
    try:
        if folder.is_dir():
            return ""
        if folder.exists():
            return "is a file, no folder"
        return "is a broken link" if folder.is_symlink() else "is missing"
    except (OSError, RuntimeError, ValueError) as error:  # Python < 3.13 raises RuntimeError for a loop of links
        return f"cannot be read ({reason(error)})"


@dataclass
class Contents:
    """What lies directly in a folder.

    Attributes:
        files: Bytes by name of each file, links followed.
        folders: Names of the folders.
        broken: Names of links that lead nowhere.
    """

    files: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def read_folder(folder: str | Path) -> Contents:
    """List a folder.

    Raises:
        OSError: If it cannot be read.
        ValueError: If its name is none that a disk can hold.
    """
    contents = Contents()
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    contents.folders.append(entry.name)
                elif entry.is_file():
                    contents.files[entry.name] = entry.stat().st_size
                else:
                    contents.broken.append(entry.name)
            except OSError:  # a link to itself
                contents.broken.append(entry.name)
    return contents


def image_files(folder: Path) -> Iterator[str]:
    """Yield the images below a folder that are not empty; links to folders are not followed, so it always ends."""
    for parent, _, names in os.walk(folder):
        for name in filter(is_image, names):
            path = os.path.join(parent, name)  # noqa: PTH118  (a Path for each of many files is slow)
            if file_size(path):
                yield path


def file_size(path: str) -> int | None:
    """Return the bytes of a file, None if there is no such file."""
    try:
        return os.stat(path).st_size if os.path.isfile(path) else None  # noqa: PTH113, PTH116
    except (OSError, ValueError):
        return None
