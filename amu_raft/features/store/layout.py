"""What lies where in a store's folder, and who may change it.

``<two digits>/<key>/`` is an entry, ``partial/<key>-<random>/`` one that is being written or removed, and
``locks/<key>.lock`` is held by the process that does so. Readers need no lock: entries come and go by renaming.
"""

import errno
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from amu_raft.cache import cache_folder

# Nothing else is ever removed, for the folder is the user's choice and may hold more than a store.
KEY = re.compile(r"[0-9a-f]{64}")
PARTIAL = re.compile(r"([0-9a-f]{64})-[0-9a-f]+")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def default_folder() -> Path:
    """Return where the store lies if no place is chosen."""
    return cache_folder() / "features"


class StoreFolder:
    """A store's folder; made when something is written to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path / "partial"
        self._locks = path / "locks"

    def entry(self, key: str) -> Path:
        """Return where the entry of a key lies, if there is one."""
        return self.path / key[:2] / key

    def entries(self) -> list[Path]:
        """Return the folders of all entries, the one that was used longest ago first."""
        folders = [path for path in self.path.glob("??/*") if KEY.fullmatch(path.name) and path.is_dir()]
        return sorted((path for path in folders if path.name[:2] == path.parent.name), key=last_use)

    def partials(self) -> list[tuple[str, Path]]:
        """Return key and folder of all that is being written or removed, or was when its process died."""
        found = [(PARTIAL.fullmatch(path.name), path) for path in self._partial.glob("*")]
        return [(match[1], path) for match, path in found if match]

    def lock_keys(self) -> list[str]:
        """Return the keys that have a lock file."""
        return [path.stem for path in self._locks.glob("*.lock") if KEY.fullmatch(path.stem)]

    def new_partial(self, key: str) -> Path:
        """Return a folder to write an entry in; its name is new, so that processes never meet in it."""
        return self._partial / f"{key}-{secrets.token_hex(6)}"

    def remove_partials(self, key: str) -> int:
        """Remove what dead processes left of an entry whose lock is held, and return how many folders that were."""
        left = [folder for found, folder in self.partials() if found == key]
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)
        return len(left)

    def publish(self, partial: Path, key: str) -> None:
        """Give a finished entry its name, in place of a damaged one if there is one; its lock is held.

        Raises:
            OSError: If that is not possible.
        """
        folder = self.entry(key)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            self.discard(key)
        partial.rename(folder)

    def discard(self, key: str) -> None:
        """Remove an entry whose lock is held; it vanishes in one step, so nobody finds half of it.

        Raises:
            OSError: If that is not possible.
        """
        self._partial.mkdir(parents=True, exist_ok=True)
        trash = self.new_partial(key)
        self.entry(key).rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    @contextmanager
    def locked(self, keys: Iterable[str]) -> Iterator[None]:
        """Hold the locks of some keys, taken in one order by every process, so that none waits in a circle.

        Raises:
            OSError: If they cannot be made.
        """
        with ExitStack() as stack:
            with self.explained():
                self._locks.mkdir(parents=True, exist_ok=True)
                for key in sorted(set(keys)):
                    stack.enter_context(self._wait_for(key))
            yield

    @contextmanager
    def locked_if_free(self, key: str) -> Iterator[bool]:
        """Hold the lock of a key unless somebody else does or this user may not, and tell whether it is held."""
        lock = FileLock(self._lock_path(key))
        try:
            lock.acquire(timeout=0)
        except OSError:  # a Timeout is one
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def remove_lock(self, key: str) -> None:
        """Remove the file of a lock that is held, as the last thing that is done under it.

        Nobody is locked out or let in beside another by that: filelock opens the file anew with every attempt, and
        gives a lock back that it got on a file without a name. Should a file system hide that the name is gone, two
        processes would compute one entry twice, each in a folder of its own.
        """
        self._lock_path(key).unlink(missing_ok=True)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Name the store and the way out where its folder cannot be used.

        Raises:
            OSError: In place of any other.
        """
        try:
            yield
        except OSError as error:
            room = "make room (amu-raft store gc --limit 10G) or " if error.errno in NO_SPACE else ""
            raise OSError(
                f"the feature store {self.path} cannot be used ({error}); "
                f"{room}choose another place by FEATURES.STORE (off keeps nothing after the run) or by the environment "
                "variable AMU_RAFT_CACHE"
            ) from error

    @contextmanager
    def _wait_for(self, key: str) -> Iterator[None]:
        lock = FileLock(self._lock_path(key))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Another process computes the features {key[:12]}, waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _lock_path(self, key: str) -> Path:
        return self._locks / f"{key}.lock"


def last_use(folder: Path) -> float:
    """Return when an entry was last used, in seconds; 0 if it has just gone."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
