"""Fetch one URL: broken transfers go on where they stopped, and only the expected bytes get the file's name."""

import re
import time
from dataclasses import replace
from pathlib import Path

import requests

from amu_raft.downloads import connection
from amu_raft.downloads.body import BrokenTransferError, SlowTransferError, write_body
from amu_raft.downloads.connection import ANSWER_ERRORS, explain_error, explain_status, open_session
from amu_raft.downloads.expected import Expected
from amu_raft.downloads.limits import check_size, most_bytes
from amu_raft.downloads.part_file import PartFile, SourceError, Version, fetch_through_part

PATIENCE = 40  # times ``attempts``: the bound on transfers that break again and again but get on each time
WEB_PAGES = (".html", ".htm", ".xhtml")


def fetch(
    url: str, path: Path, expected: Expected, *, attempts: int = 5, timeout: float = 30.0, title: str = ""
) -> None:
    """Fetch a file by HTTP(S) unless it is there already.

    What has come is kept in ``<path>.part`` and continued by the next call or process if the server still has the same
    version of the file. The file gets its name in one step, after it was compared with ``expected``.

    Args:
        url: Where it is; redirects are followed.
        path: What it shall be called. Folders are made.
        expected: What is known of it. A size that differs stops the transfer before it begins.
        attempts: How often to try in a row without a byte of progress.
        timeout: Seconds without a byte after which a transfer counts as broken.
        title: What the progress bar says; the file's name if empty.

    Raises:
        FetchError: One line, if the URL does not give the expected file.
        OSError: One line, if it cannot be written here.
    """

    def receive(part: PartFile) -> None:
        with open_session(attempts) as session:
            _receive(session, url, part, expected, attempts=attempts, timeout=timeout, title=title or path.name)

    fetch_through_part(receive, url, path, expected)


def _receive(
    session: requests.Session,
    url: str,
    part: PartFile,
    expected: Expected,
    *,
    attempts: int,
    timeout: float,
    title: str,
) -> None:
    """Try until the part is whole, ``attempts`` times in a row without progress, or ``PATIENCE`` is at its end.

    Raises:
        SourceError: If it does not become whole.
    """
    furthest = part.size if continuable(part, url, expected) else 0
    begun, slow, failures, reason = False, False, 0, ""
    for _ in range(max(attempts, 1) * PATIENCE):
        try:
            return _receive_once(session, url, part, expected, timeout=timeout, title=title)
        except BrokenTransferError as broken:
            reason, slow = str(broken), isinstance(broken, SlowTransferError)
        except requests.RequestException as error:
            # The session has already tried again. Only a transfer that worked before is worth more patience.
            if not begun or not isinstance(error, requests.ConnectionError | requests.Timeout):
                raise SourceError(explain_error(error)) from error
            reason, slow = explain_error(error), False
        except ANSWER_ERRORS as error:
            raise SourceError(f"its answer cannot be understood ({explain_error(error)})") from error
        failures = 0 if part.size > furthest and not slow else failures + 1
        begun = begun or part.size > furthest
        furthest = max(furthest, part.size)
        if failures >= attempts:
            break
        time.sleep(min(connection.BACKOFF * 2**failures, connection.BACKOFF_MAX))
    tries = f"tried {failures} times without {'enough ' if slow else ''}progress" if failures else "it broke too often"
    raise SourceError(f"{reason}; {tries}, {part.size} bytes are kept to go on from")


def continuable(part: PartFile, url: str, expected: Expected) -> bool:
    """Tell whether the bytes of a part may be continued from a URL.

    They must have come from there, and either the server can say whether its file is still the same or a digest will.
    """
    version = part.read_version()
    return version is not None and version.url == url and bool(version.validator or expected.digests)


def _receive_once(
    session: requests.Session, url: str, part: PartFile, expected: Expected, *, timeout: float, title: str
) -> None:
    """Continue or begin the part by one request and return when it is whole.

    Raises:
        BrokenTransferError: If it ends early.
        SourceError: If asking again is of no use.
        requests.RequestException: If there is no answer.
    """
    kept = part.read_version() if part.size and continuable(part, url, expected) else None
    if kept is not None and part.size in (expected.size, kept.total):
        return
    headers = {"Range": f"bytes={part.size}-", "If-Range": kept.validator} if kept else {}
    headers = {name: value for name, value in headers.items() if value}
    limits = (min(timeout, connection.CONNECT_SECONDS), timeout)
    with session.get(url, headers=headers, stream=True, timeout=limits) as response:
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{part.size}":
            return
        if kept is not None and not _continues(response, part, kept):
            part.discard()
            raise BrokenTransferError("it does not continue a broken transfer")
        if response.status_code != 200 and (response.status_code != 206 or kept is None):
            raise SourceError(explain_status(response.status_code))
        offered = offered_version(response, url)
        check_offer(response, offered.total, part, expected)
        # Where the server does not say how much it will send, what is known of the file tells whether all has come.
        total = offered.total or expected.size or (kept.total if kept and response.status_code == 206 else None)
        # A transfer that begins anew frees what the part takes now.
        check_size(total, part.size, part.target, expected)
        if response.status_code == 200:
            part.begin(offered)
        write_body(response, part, total, most_bytes(part.size, part.target, expected), title)
    if total is not None and part.size != total:
        raise BrokenTransferError(f"it ended the transfer after {part.size} of {total} bytes")


def _continues(response: requests.Response, part: PartFile, kept: Version) -> bool:
    """Tell whether an answer to a range request can be used: the rest of the same version, or all of another one."""
    if response.status_code != 206:
        return response.status_code != 416
    offered = offered_version(response, kept.url)
    begins = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    same = all(
        not old or not new or old == new for old, new in ((kept.etag, offered.etag), (kept.total, offered.total))
    )
    return begins is not None and int(begins[1]) == part.size and same


def offered_version(response: requests.Response, url: str) -> Version:
    """Return what an answer says of the whole file."""
    headers = response.headers
    version = Version(url, headers.get("ETag", ""), headers.get("Last-Modified", ""))
    if response.status_code == 206:
        size = headers.get("Content-Range", "").rpartition("/")[2]
    else:
        size = "" if "Transfer-Encoding" in headers else headers.get("Content-Length", "")
    return replace(version, total=int(size)) if size.isdecimal() else version


def check_offer(response: requests.Response, total: int | None, part: PartFile, expected: Expected) -> None:
    """Refuse before the first byte what cannot be the file.

    Raises:
        SourceError: Naming what is offered.
    """
    suffix = part.target.suffix.lower()
    is_page = response.headers.get("Content-Type", "").startswith("text/html") and suffix not in WEB_PAGES
    if is_page and (total is None or total != expected.size):
        raise SourceError("it sends a web page in place of the file, perhaps a notice or a form to sign in")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    # Some servers wrongly label .gz files so and send them as they are; where a size or digest is known, that decides.
    unknown = expected.size is None and not expected.digests
    if encoding not in ("", "identity") and unknown and suffix not in (".gz", ".tgz"):
        raise SourceError(f"it sends the file encoded ({encoding}), though asked not to")
