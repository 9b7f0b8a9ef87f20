"""Arrange what the user has already: doubled folders, folders under their published name, images beside each other."""

import re
from pathlib import Path, PurePosixPath

from datasets.catalog import Move
from datasets.prepare.arrangement import SEARCH_DEPTH, Conflict, find_folder, merge
from datasets.prepare.job import SET_ASIDE, Job

ENDING = re.compile(r"\.(zip|tgz|tar(\.\w+)?)$")


def tidy(job: Job) -> list[str]:
    """Move the folders of a data set that lie in slightly wrong places; no file is removed or replaced.

    Returns:
        What was moved, one line each.

    Raises:
        OSError: If the data root cannot be written to.
    """
    if not job.folder.is_dir():
        return []
    return [line for move in _moves(job) for line in _lift_doubled(job, move) + _fetch_near(job, move)]


def misplaced(job: Job) -> list[str]:
    """Tell what ``tidy`` would move, without moving anything."""
    if not job.folder.is_dir():
        return []
    found = []
    for move in _moves(job):
        source, target = find_folder(job.folder, move.find, _wrappers(job)), job.folder / move.to
        if source is not None and source != target:
            found.append(f"{source} belongs in {target}")
    return list(dict.fromkeys(found))


def _moves(job: Job) -> list[Move]:
    """Return the moves of named folders, each once."""
    downloads = [download for part in job.entry.parts for download in part.alternatives]
    return list(dict.fromkeys(move for one in downloads for move in one.place.moves if move.find != (".",)))


def _wrappers(job: Job) -> set[str]:
    """Return the names of folders that unpacking leaves around others; what lies in any other is the user's own."""
    names = {job.folder.name}
    for download in (download for part in job.entry.parts for download in part.alternatives):
        stem = ENDING.sub("", download.file)
        names |= {stem, download.file, f"{download.file}.unpacked"}
        names.update(name for move in download.place.moves for path in (*move.find, move.to) for name in _parts(path))
    return names


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


def _lift_doubled(job: Job, move: Move) -> list[str]:
    """Turn cars_train/cars_train/*.jpg into cars_train/*.jpg."""
    target = job.folder / move.to
    names = dict.fromkeys([target.name, *(PurePosixPath(name).name for name in move.find)])
    lines = []
    for name in names if move.to != "." else ():
        inner = target / name
        for _ in range(SEARCH_DEPTH):
            if inner.is_dir() and not inner.is_symlink():
                lines += _moved(job, inner, target)
    return lines


def _fetch_near(job: Job, move: Move) -> list[str]:
    """Turn EuroSAT_RGB into 2750, and wrapper/folder into folder."""
    source, target = find_folder(job.folder, move.find, _wrappers(job)), job.folder / move.to
    if source is None or source == target or source in target.parents:
        return []
    return _moved(job, source, target)


def _moved(job: Job, source: Path, target: Path) -> list[str]:
    left = merge(source, target, Conflict.LEAVE, job.folder / SET_ASIDE)
    _remove_empty(source.parent, job.folder)
    note = f"; {left} files differ from those in place and stay" if left else ""
    return [f"moved {source} to {target}{note}"]


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and top in folder.parents and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
