"""From an unpacked archive to folders in their places, by renaming only."""

import errno
import filecmp
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from amu_raft.downloads.archives import unpack
from amu_raft.progress import progress
from datasets.catalog import Place
from datasets.doctor.decoding import damaged_images
from datasets.prepare.job import SET_ASIDE, remove

SEARCH_DEPTH = 5  # folders below the top that a folder is looked for in; the published archives need 3
LEFT_OUT = {"__MACOSX", SET_ASIDE, "split_fewshot"}


class Conflict(Enum):
    """What happens where a file is in place already and differs from the one to be put there."""

    REPLACE = "the file in place is set aside"
    KEEP = "the new file is dropped, unless the one in place is damaged"
    LEAVE = "both stay where they are"


def unpack_staged(archive: Path, tree: Path, place: Place, *, title: str) -> bool:
    """Unpack an archive, and then the archives in it, unless an earlier run did.

    Returns:
        Whether an earlier run did, at least the outer one; it may have moved folders away already.

    Raises:
        ValueError: If an archive is damaged or unsafe.
        OSError: If the disk is full or cannot be written to.
    """
    resumed = tree.is_dir()
    if not resumed:
        unpack(archive, tree, title=title)
    unpack_inner(tree, place, title=title)
    return resumed


def unpack_inner(tree: Path, place: Place, *, title: str) -> None:
    """Unpack the archives inside an unpacked archive, each removed once its folder is whole."""
    found = sorted(path for path in _files_below(tree) if any(fnmatch(path.name, one) for one in place.inner))
    for archive in progress(found, f"{title}: inner archives"):
        folder = archive.with_suffix("") if place.inner_folders else archive.with_name(f"{archive.name}.unpacked")
        remove(folder)
        unpack(archive, folder, title=f"{title}, {archive.name}")
        archive.unlink()


def find_folder(tree: Path, names: Sequence[str], through: Collection[str] | None = None) -> Path | None:
    """Find a folder by the first of its names that there is, and go down through wrappers of the same name.

    Args:
        tree: Folder to search in; it is not itself found, except as ".".
        names: Names, or the last parts of a path such as "release/data".
        through: Names of the folders that are searched; None for all.
    """
    for name in names:
        if name == ".":
            return tree
        wanted = PurePosixPath(name).parts
        for folder in _folders_below(tree, through):
            if folder.parts[-len(wanted) :] == wanted:
                return _innermost(folder)
    return None


def _innermost(folder: Path) -> Path:
    while (folder / folder.name).is_dir() and all(
        path.name == folder.name or path.name.startswith(".") or path.name in LEFT_OUT for path in folder.iterdir()
    ):
        folder = folder / folder.name
    return folder


def _folders_below(tree: Path, through: Collection[str] | None) -> Iterator[Path]:
    """Yield folders, the upper ones first."""
    level = [tree]
    for _ in range(SEARCH_DEPTH):
        level = [folder for parent in level for folder in _folders_in(parent)]
        yield from level
        level = [folder for folder in level if through is None or folder.name in through]


def _folders_in(parent: Path) -> list[Path]:
    with os.scandir(parent) as entries:
        found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [parent / name for name in sorted(found) if not name.startswith(".") and name not in LEFT_OUT]


def _files_below(tree: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(tree):
        for name in names:
            yield Path(parent) / name


def merge(source: Path, target: Path, conflict: Conflict, aside: Path) -> int:
    """Move a folder or file into place: in one step if nothing is there, else each missing file by itself.

    Args:
        source: What is moved; afterwards it is gone, except for what ``Conflict.LEAVE`` leaves.
        target: Its place.
        conflict: What happens to files that differ; ``Conflict.LEAVE`` compares the sizes only, the others the bytes.
        aside: Where a file in place goes that is replaced.

    Returns:
        The number of conflicts.

    Raises:
        OSError: If the disk is full or cannot be written to.
    """
    if not os.path.lexists(target):
        move(source, target)
        return 0
    if source.is_dir() and target.is_dir():
        conflicts = sum(merge(path, target / path.name, conflict, aside / path.name) for path in _children(source))
        if not any(source.iterdir()):
            source.rmdir()
        return conflicts
    if source.is_file() and target.is_file() and _same(source, target, conflict):
        if conflict is not Conflict.LEAVE:
            source.unlink()
        return 0
    return _settle(source, target, conflict, aside)


def _same(source: Path, target: Path, conflict: Conflict) -> bool:
    if conflict is Conflict.LEAVE:
        return source.stat().st_size == target.stat().st_size
    return filecmp.cmp(source, target, shallow=False)


def _settle(source: Path, target: Path, conflict: Conflict, aside: Path) -> int:
    if conflict is Conflict.LEAVE:
        return 1
    if conflict is Conflict.KEEP and target.is_file() and not damaged_images([str(target)], title=target.name):
        remove(source)
        return 1
    set_aside(target, aside)
    move(source, target)
    return 1


def set_aside(path: Path, aside: Path) -> None:
    """Move a file out of the way without losing it or one that was set aside before."""
    free, number = aside, 1
    while os.path.lexists(free):
        number += 1
        free = aside.with_name(f"{aside.name}.{number}")
    move(path, free)


def move(source: Path, target: Path) -> None:
    """Rename; where the place is on another file system, copy under another name and then rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.partial")
        remove(partial)
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, partial)
        partial.rename(target)
        remove(source)


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
