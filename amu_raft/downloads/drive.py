"""Fetch one file of Google Drive, whose pages between the link and the file gdown knows."""

import re
from pathlib import Path

import requests

from amu_raft.downloads.connection import ANSWER_ERRORS, explain_error, explain_status
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.limits import check_size, most_bytes
from amu_raft.downloads.part_file import PartFile, SourceError, fetch_through_part
from amu_raft.downloads.progress import byte_bar

# What Google's pages say, and what it means.
NOTICES = (
    ("(?i)too many users|many accesses|quota", "its quota for this file is used up for a day, or it is not public"),
    ("(?i)permission|sign in", "the file is not public"),
    ("(?i)does not exist|not found", "there is no such file"),
)


def drive_page(drive_id: str) -> str:
    """Return the address at which a browser shows a file of Google Drive."""
    return f"https://drive.google.com/file/d/{drive_id}/view"


def fetch_drive(
    drive_id: str, path: Path, expected: Expected, *, attempts: int = 5, timeout: float = 30.0, title: str = ""
) -> None:
    """Fetch a file of Google Drive unless it is there already; as ``amu_raft.downloads.http.fetch``, but by its id.

    What has come is continued by the next call where a digest of the file is known.

    Raises:
        FetchError: One line, if Drive does not give the expected file.
        OSError: One line, if it cannot be written here.
    """

    def receive(part: PartFile) -> None:
        _receive(drive_id, part, expected, attempts=attempts, timeout=timeout, title=title or path.name)

    fetch_through_part(receive, drive_page(drive_id), path, expected)


def _receive(drive_id: str, part: PartFile, expected: Expected, *, attempts: int, timeout: float, title: str) -> None:
    """Let gdown write the part.

    Raises:
        SourceError: If it cannot.
    """
    import gdown  # here, for it takes a while and most files come from elsewhere
    from gdown.exceptions import DownloadError

    # gdown continues whatever has the output's name, so that says which file it is.
    output = part.target.with_name(f"{part.target.name}.{drive_id}")
    if not expected.digests:
        _discard(output)
    counter = _Counter(part, expected, title)
    try:
        gdown.download(
            id=drive_id,
            output=str(output),
            quiet=True,
            use_cookies=False,
            resume=True,
            progress=counter.show,
            timeout=timeout,
            retries=max(attempts, 1) - 1,
        )
    except _WrongSizeError as error:
        _discard(output)
        raise SourceError(str(error)) from None
    except requests.HTTPError as error:
        raise SourceError(explain_status(error.response.status_code)) from error
    except requests.RequestException as error:
        raise SourceError(explain_error(error)) from error
    except DownloadError as error:
        raise SourceError(explain_notice(str(error), error)) from error
    except ANSWER_ERRORS as error:
        raise SourceError(f"its answer cannot be understood ({explain_error(error)})") from error
    except (LookupError, AssertionError) as error:  # where gdown takes for granted how Google's pages look
        raise SourceError(f"gdown cannot read the page that Drive sends ({type(error).__name__}: {error})") from error
    finally:
        counter.close()
    output.replace(part.path)


class _WrongSizeError(Exception):
    """What Drive offers cannot be the file, by its size. Not an error that gdown knows, so it does not try again."""


class _Counter:
    """Takes what gdown calls after each block: compares what is offered at the first one, then moves a bar."""

    def __init__(self, part: PartFile, expected: Expected, title: str) -> None:
        self._part, self._expected, self._title = part, expected, title
        self._bar = byte_bar(title, expected.size)
        self._begun = False
        self._limit = 0

    def show(self, received: int, total: int | None) -> None:
        if not self._begun:
            self._begin(received, total)
        if received > self._limit:
            raise _WrongSizeError(f"it sends more than {self._limit} bytes")
        self._bar.update(received - self._bar.n)

    def _begin(self, received: int, total: int | None) -> None:
        target = self._part.target
        try:
            check_size(total, received, target, self._expected)
        except SourceError as error:
            raise _WrongSizeError(str(error)) from None
        # Blocks are counted as they are written, which is more than is offered where Drive compresses on the way.
        self._limit = max(total or 0, most_bytes(received, target, self._expected))
        self._bar.close()
        self._bar = byte_bar(self._title, total, start=received)
        self._begun = True

    def close(self) -> None:
        self._bar.close()


def _discard(output: Path) -> None:
    """Remove what earlier calls left: the file, and gdown's halves of it, which carry eight letters more."""
    ours = re.compile(re.escape(output.name) + r"(.{8}\.part)?")
    for path in output.parent.iterdir():
        if ours.fullmatch(path.name):
            path.unlink()


def explain_notice(text: str, error: BaseException) -> str:
    """Reduce a page of Google's, or what gdown says about it, to a few words."""
    for pattern, meaning in NOTICES:
        if re.search(pattern, text):
            return f"{meaning}; a browser may still get it"
    if isinstance(error.__cause__, requests.RequestException):
        return explain_error(error.__cause__)
    return " ".join(text.split())[:200]
