"""The half of a file that has come so far, kept beside its target from one process to the next."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from amu_raft.downloads.expected import Expected, WrongContent, verify_file

LOCK_SECONDS = 24 * 3600  # the largest archives take that long


class FetchError(OSError):
    """A file could not be fetched; the message is one line that names it and every source tried.

    Attributes:
        reasons: Each source with what went wrong there.
    """

    def __init__(self, path: Path, reasons: Sequence[tuple[str, str]]) -> None:
        tried = "; ".join(f"{source}: {reason}" for source, reason in reasons)
        super().__init__(f"{path} could not be fetched: {tried}")
        self.reasons = list(reasons)


class SourceError(Exception):
    """A source does not give the file; the message says why and names neither. Never leaves this package."""


@dataclass(frozen=True)
class Version:
    """What a server said about the file whose bytes a part holds; empty where it said nothing."""

    url: str
    etag: str = ""
    last_modified: str = ""
    total: int | None = None

    @property
    def validator(self) -> str:
        """What If-Range may carry: the servers must not compare weak tags there, and not all text fits a header."""
        tag = "" if self.etag.startswith("W/") else self.etag
        fitting = (text for text in (tag, self.last_modified) if text.isascii() and text.isprintable())
        return next((text for text in fitting if text and text == text.strip()), "")

    @property
    def is_sound(self) -> bool:
        """Whether the values are of their kinds, which a damaged note does not promise."""
        texts = (self.url, self.etag, self.last_modified)
        return type(self.total) in (int, type(None)) and all(isinstance(text, str) for text in texts)


class PartFile:
    """``<target>.part`` and, beside it, ``<target>.part.json``: of which version its bytes are.

    Attributes:
        target: What the file will be called when it is whole.
        path: The bytes so far.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._version_path = target.with_name(f"{target.name}.part.json")

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def read_version(self) -> Version | None:
        """Return of which version the bytes are; None where that cannot be told, so they cannot be continued."""
        try:
            version = Version(**json.loads(self._version_path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return version if version.is_sound else None

    def begin(self, version: Version) -> None:
        """Forget the bytes and note which version the next ones are of."""
        # In this order: a process that is killed in between leaves no bytes under a version that is not theirs.
        self.path.write_bytes(b"")
        temporary = self._version_path.with_name(f"{self._version_path.name}.partial")
        temporary.write_text(json.dumps(asdict(version)), encoding="utf-8")
        temporary.replace(self._version_path)

    def discard(self) -> None:
        """Remove the bytes."""
        self.path.unlink(missing_ok=True)
        self._version_path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Give the whole file its name, in one step."""
        self.path.replace(self.target)
        self._version_path.unlink(missing_ok=True)


def fetch_through_part(receive: Callable[[PartFile], None], source: str, path: Path, expected: Expected) -> None:
    """Receive a file into its part, compare it and give it its name; one process at a time.

    Args:
        receive: Completes the part it is given, or raises ``SourceError``.
        source: For messages.
        path: Where the file shall be. One that is there and as expected is left alone; another is replaced, and only
            once the expected one has come.
        expected: What is known of it.

    Raises:
        FetchError: If the source fails or its bytes are not the expected ones.
        OSError: If the file cannot be written here.
    """
    with local_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with one_process(path):
            if is_there(path, expected):
                return
            part = PartFile(path)
            try:
                receive(part)
                verify_file(part.path, expected, progress=True)
            except SourceError as error:
                raise FetchError(path, [(source, str(error))]) from error
            except WrongContent as error:
                part.discard()
                raise FetchError(path, [(source, f"its content is wrong ({error.difference})")]) from error
            part.publish()


def is_there(path: Path, expected: Expected) -> bool:
    """Tell whether a file is there and is the expected one; a wrong one is reported.

    Raises:
        IsADirectoryError: If a folder has its name.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, where a file was to be fetched; move it away")
    if not path.is_file():
        return False
    try:
        verify_file(path, expected, progress=True)
    except WrongContent as error:
        print(f"{error}; it is fetched again")
        return False
    return True


@contextmanager
def one_process(path: Path) -> Iterator[None]:
    """Wait until no other process works on a path. The system frees the lock of a process that dies.

    Raises:
        TimeoutError: If another one is at it for ``LOCK_SECONDS``.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"Waiting for another process that works on {path}")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise TimeoutError(f"another process has been working on {path} for {LOCK_SECONDS} s; end it") from None
    try:
        yield
    finally:
        with suppress(OSError):  # some systems do not remove what is open; the file is empty and does no harm
            Path(lock.lock_file).unlink()
        lock.release()


@contextmanager
def local_errors(path: Path) -> Iterator[None]:
    """Turn what the system says of a full or closed disk into one line that names the file.

    Raises:
        OSError: In place of the system's own; those with a line of their own pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(
            f"{path} cannot be written or read: {error.strerror} ({error.filename or path.parent})"
        ) from error


def check_space(folder: Path, needed: int, what: Path) -> None:
    """Refuse in time what the disk has no room for.

    Raises:
        OSError: Naming both sizes.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{what} needs {needed / 2**30:.2f} GiB more in {folder}, where {free / 2**30:.2f} GiB are free")
