"""Take the body of an answer: every byte as it comes, no more than there may be, and not at any slowness."""

import time

import requests
from urllib3.exceptions import HTTPError

from amu_raft.downloads.connection import explain_error
from amu_raft.downloads.part_file import PartFile, SourceError
from amu_raft.downloads.progress import byte_bar

CHUNK = 1 << 16
SLOWEST = 1024  # bytes per second; at this rate even the smallest of the image archives takes a day
SLOW_SECONDS = 60.0  # how long a transfer may be slower


class BrokenTransferError(Exception):
    """A transfer ended before the file did; it may be tried again. The message says how."""


class SlowTransferError(BrokenTransferError):
    """A transfer that still gets on, but so slowly that this counts as none."""


class Pace:
    """Watches how fast bytes come."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._bytes = 0

    def count(self, size: int) -> None:
        """Account for bytes that came.

        Raises:
            SlowTransferError: If fewer than ``SLOWEST`` came per second for ``SLOW_SECONDS``.
        """
        self._bytes += size
        seconds = time.monotonic() - self._begun
        if seconds < SLOW_SECONDS:
            return
        if self._bytes < SLOWEST * seconds:
            raise SlowTransferError(f"it sent only {self._bytes} bytes in {seconds:.0f} s")
        self._begun, self._bytes = time.monotonic(), 0


def write_body(response: requests.Response, part: PartFile, total: int | None, limit: int, title: str) -> None:
    """Append the bytes of an answer to the part, those before a break or a stall included.

    Args:
        response: The answer, its body not yet read.
        part: Holds what came before.
        total: Bytes of the whole file; None where nobody knows.
        limit: How many there may be where nobody knows.
        title: What the progress bar says.

    Raises:
        BrokenTransferError: If the connection breaks, falls silent or creeps.
        SourceError: If there are more bytes than there may be.
    """
    size, pace = part.size, Pace()
    with byte_bar(title, total, start=size) as bar, part.path.open("ab") as file:
        while chunk := _read_some(response):
            size += len(chunk)
            if size > (limit if total is None else total):
                part.discard()
                known = "" if total is not None else ", the most that is taken of a file of unknown size"
                raise SourceError(f"it sends more than {limit if total is None else total} bytes{known}")
            file.write(chunk)
            bar.update(len(chunk))
            if size != total:
                pace.count(len(chunk))


def _read_some(response: requests.Response) -> bytes:
    """Return what has come, at least a byte; nothing at the end of the body.

    Raises:
        BrokenTransferError: If nothing comes, or the body ends too early.
    """
    try:
        # Not read or stream: they wait for a whole block and drop what they hold of it when no more comes.
        return response.raw.read1(CHUNK, decode_content=False) or b""
    except HTTPError as error:  # urllib3's, for everything the network does; errors of the disk pass
        raise BrokenTransferError(explain_error(error)) from error
