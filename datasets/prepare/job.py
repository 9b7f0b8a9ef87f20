"""What one run was asked for, and where the files of one data set are staged."""

import contextlib
import fcntl
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets.catalog import Entry, Part

STAGING = ".prepare"
ARCHIVES = "archives"
UNPACKED = "unpacked"
SET_ASIDE = "set_aside"


class PreparationError(Exception):
    """Why a part of a data set could not be put into place, in one line."""


@dataclass(frozen=True)
class Job:
    """The wish to have one data set in one data root.

    Attributes:
        entry: What is known about it.
        root: The data root.
        archives: Folder with archives that the user has; they are read only.
        mirrors: Names of mirrors, or addresses of folders, to try first.
        keep_archives: Whether what was downloaded stays once the data set is whole.
    """

    entry: Entry
    root: Path
    archives: Path | None = None
    mirrors: tuple[str, ...] = ()
    keep_archives: bool = False

    @property
    def folder(self) -> Path:
        """The data set's folder."""
        return self.root / self.entry.directory

    @property
    def staging(self) -> Path:
        """Where its files lie until they are in place: on the same file system, so that renaming suffices."""
        return self.root / STAGING / self.entry.directory

    def downloaded(self, part: Part, number: int) -> Path:
        """Where the file of an alternative is downloaded to; alternatives of the same name are kept apart."""
        return self.staging / ARCHIVES / part.name / str(number) / part.alternatives[number].file

    def command(self) -> str:
        """The command that runs this again."""
        archives = ["--archives", str(self.archives)] if self.archives else []
        return shlex.join(["python", "-m", "datasets.prepare", self.entry.name, "--root", str(self.root), *archives])


@contextlib.contextmanager
def staging_lock(job: Job) -> Iterator[None]:
    """Keep other runs from the same data set; the system frees the lock when a process ends in any way.

    Raises:
        PreparationError: If another run works on it.
        OSError: If the data root cannot be written to.
    """
    lock = _lock_folder(job)
    try:
        yield
    finally:
        os.close(lock)


def _lock_folder(job: Job) -> int:
    while True:
        job.staging.mkdir(parents=True, exist_ok=True)
        lock = os.open(job.staging, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise PreparationError(f"another run is preparing it in {job.root}; wait for it to end") from None
        # A run that ended in between may have removed the folder, and the lock would be on nothing.
        with contextlib.suppress(FileNotFoundError):
            if job.staging.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)


def clear_staging(job: Job) -> None:
    """Remove what is staged for a data set; downloaded archives stay if that is asked for."""
    if not job.staging.is_dir():
        return
    for path in job.staging.iterdir():
        if not (job.keep_archives and path.name == ARCHIVES):
            remove(path)
    for folder in (job.staging, job.staging.parent):
        with contextlib.suppress(OSError):  # kept archives or other data sets lie in it
            folder.rmdir()


def remove(path: Path) -> None:
    """Remove a staged file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """Return the free space of the file system that a folder lies, or will lie, on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
