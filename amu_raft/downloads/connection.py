"""How servers are asked, and what went wrong with them in a few words."""

import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import HTTPError, NameResolutionError, ProtocolError
from urllib3.exceptions import TimeoutError as SilentServer

BACKOFF = 0.5  # seconds, doubled from one attempt to the next
BACKOFF_MAX = 60
RETRY_AFTER_MAX = 120  # seconds that a server may ask us to wait
MAX_REDIRECTS = 10
BUSY = (408, 429, 500, 502, 503, 504)
CONNECT_SECONDS = 10.0  # many old links lead to machines that are gone; only slow answers deserve patience

# What passes through requests as it is when a server answers nonsense: addresses, numbers or text that none are.
ANSWER_ERRORS = (requests.RequestException, HTTPError, HTTPException, ValueError, ArithmeticError)

REFUSALS = {
    401: "it asks for an account",
    403: "access is refused",
    404: "there is no such file",
    410: "the file was removed",
}


def open_session(attempts: int) -> requests.Session:
    """Return a session that follows redirects and asks busy or silent servers again, waiting longer each time."""
    retry = Retry(
        total=max(attempts, 1) - 1,
        connect=min(max(attempts, 1) - 1, 2),
        other=0,  # among them TLS errors, which do not go away
        status_forcelist=BUSY,
        backoff_factor=BACKOFF,
        backoff_max=BACKOFF_MAX,
        retry_after_max=RETRY_AFTER_MAX,
        raise_on_status=False,
    )
    session = requests.Session()
    session.max_redirects = MAX_REDIRECTS
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    # The bytes are wanted as they are stored: a .tar.gz that is decoded on its way is another file.
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": "amu-raft"})
    return session


def explain_status(status: int) -> str:
    """Say what an HTTP status other than success means."""
    meaning = REFUSALS.get(status) or ("it is busy or broken" if status in BUSY else "it sends no file")
    return f"{meaning} (HTTP {status})"


def explain_error(error: BaseException) -> str:
    """Say in a few words, on one line, what kept a connection from working."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is refused ({cause.verify_message or cause.reason})"
        if isinstance(cause, ssl.SSLError):
            return f"no secure connection ({cause.reason})"
        if isinstance(cause, NameResolutionError | socket.gaierror):
            return "its host name cannot be resolved"
        if isinstance(cause, requests.TooManyRedirects):
            return f"it redirects more than {MAX_REDIRECTS} times"
        if isinstance(cause, ConnectionRefusedError):
            return "it refuses connections"
    if any(isinstance(cause, requests.Timeout | SilentServer) for cause in causes):
        return "it does not answer in time"
    if any(isinstance(cause, ProtocolError) for cause in causes):
        return "the connection broke"
    return " ".join(str(causes[-1]).split())[:200] or type(causes[-1]).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what it wraps: each library keeps that elsewhere."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]
