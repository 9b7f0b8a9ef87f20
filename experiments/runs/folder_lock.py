"""One process at a time in a run folder."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LOCK_FILE = ".lock"
_HELD = (errno.EAGAIN, errno.EACCES)  # which of the two depends on the system


def in_use(folder: Path) -> str:
    """Return the line that refuses a run folder in which another process works."""
    return f"another process is at work in run folder {folder}; wait for its end, or give another --output-dir"


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Hold a run folder, made if it is not there; nothing of it outlives the process, however that ends.

    Where nothing can be locked, as on some network file systems, or nothing written, nothing is held.

    Raises:
        RuntimeError: If another process holds it.
    """
    lock = _acquire(folder)
    try:
        yield
    finally:
        if lock is not None:
            with suppress(OSError):
                (folder / LOCK_FILE).unlink(missing_ok=True)
            lock.close()


def _acquire(folder: Path) -> IO[str] | None:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / LOCK_FILE).open("a", encoding="utf-8")
        except OSError:  # the run says what is wrong with its folder
            return None
        try:
            # Of the process alone: loader processes that outlive a killed run for some seconds do not hold it.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            if error.errno in _HELD:
                raise RuntimeError(in_use(folder)) from None
            return None
        if _has_name(lock, folder / LOCK_FILE):
            return lock
        lock.close()  # its holder before has removed it in this moment


def _has_name(lock: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False
