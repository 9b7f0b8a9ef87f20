"""Fetch a file from the first of several origins that has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from amu_raft.downloads.drive import fetch_drive
from amu_raft.downloads.expected import NOTHING_KNOWN, Expected
from amu_raft.downloads.http import fetch
from amu_raft.downloads.part_file import FetchError, is_there, local_errors

__all__ = ["FetchError", "Origin", "fetch_any"]


@dataclass(frozen=True)
class Origin:
    """Where a file may be had.

    Attributes:
        url: Its address, or
        drive_id: its id at Google Drive; one of the two.
        expected: What is known of the file there.

    Raises:
        ValueError: If there are both or neither.
    """

    url: str = ""
    drive_id: str = ""
    expected: Expected = NOTHING_KNOWN

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.drive_id):
            raise ValueError(f"a file has either a URL or a Google Drive id, not {self.url!r} and {self.drive_id!r}")


def fetch_any(
    origins: Sequence[Origin], path: Path, *, attempts: int = 5, timeout: float = 30.0, title: str = ""
) -> None:
    """Fetch a file from the first origin that gives it as expected, unless it is there already.

    Args:
        origins: Tried in this order.
        path: What the file shall be called.
        attempts: As for ``amu_raft.downloads.http.fetch``.
        timeout: As for ``amu_raft.downloads.http.fetch``.
        title: As for ``amu_raft.downloads.http.fetch``.

    Raises:
        FetchError: One line that names every origin with what went wrong there.
        OSError: If the file cannot be written here, where other origins would not help.
        ValueError: If there is no origin.
    """
    if not origins:
        raise ValueError(f"no source is known for {path}")
    with local_errors(path):
        if any(is_there(path, expected) for expected in dict.fromkeys(origin.expected for origin in origins)):
            return
    reasons: list[tuple[str, str]] = []
    for origin in origins:
        try:
            if origin.url:
                fetch(origin.url, path, origin.expected, attempts=attempts, timeout=timeout, title=title)
            else:
                fetch_drive(origin.drive_id, path, origin.expected, attempts=attempts, timeout=timeout, title=title)
            return
        except FetchError as error:
            reasons += error.reasons
    raise FetchError(path, reasons)
