"""A server on this machine that goes wrong on purpose."""

import gzip
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


def some_bytes(size: int, seed: int = 0) -> bytes:
    return np.random.RandomState(seed).bytes(size)


@dataclass
class Served:
    """A file and what goes wrong with it.

    Lists are used up from the front by one request after the other; when a list is empty, nothing goes wrong any more.
    """

    content: bytes
    content_type: str = "application/octet-stream"
    etag: str | None = "content"  # "content": a digest, so that it changes with the content
    last_modified: str | None = None
    ranges: bool = True  # False: answers 200 to a range request
    drop_after: list[int] = field(default_factory=list)  # close the connection after so many bytes of the body
    stall_after: list[int] = field(default_factory=list)  # send nothing more after so many bytes
    block: int = 1 << 14
    pause: float = 0.0  # seconds between blocks
    declared: int | str | None = None  # Content-Length, where it is not the truth
    statuses: list[int] = field(default_factory=list)  # answer these first
    always: int | None = None  # answer this to everything
    retry_after: str | None = None
    wrong_range: int = 0  # so many range answers begin elsewhere
    refuse_range: bool = False  # 416 to every range request
    chunked: bool = False  # no Content-Length
    gzipped: bool = False  # Content-Encoding gzip, whatever is asked for
    labelled_gzip: bool = False  # Content-Encoding gzip, but sent as it is
    redirect_to: str = ""
    disposition: str = ""  # Content-Disposition
    next_content: bytes | None = None  # what it becomes after the first request


@dataclass
class Request:
    """One request as the server saw it."""

    path: str
    headers: dict[str, str]

    @property
    def offset(self) -> int | None:
        """Where its Range header begins; None without one."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else None


class FaultyServer(ThreadingHTTPServer):
    """Serves ``files`` by path ("/a.zip") and remembers every request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, Served] = {}
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.on_request: Callable[[], None] = lambda: None  # runs after each request was planned

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are what this is for."""

    def add(self, path: str, served: Served | bytes) -> str:
        """Serve a file and return its URL."""
        self.files[path] = served if isinstance(served, Served) else Served(served)
        return self.url(path)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def offsets(self, path: str) -> list[int | None]:
        """Where each request for a file asked to begin."""
        return [request.offset for request in self.requests if request.path == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        served = self.server.files.get(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers)
        with self.server.lock:
            self.server.requests.append(request)
            plan = self._plan(served, request)
            self.server.on_request()
        self.close_connection = True
        if isinstance(plan, int):
            self._refuse(plan, served)
        else:
            self._send(*plan)

    def _plan(self, served: Served | None, request: Request) -> Any:
        """Decide under the lock what this request gets: a status, or everything ``_send`` needs."""
        if served is None:
            return 404
        if served.always is not None or served.statuses:
            return served.statuses.pop(0) if served.statuses else served.always
        if served.redirect_to:
            return 302
        content = gzip.compress(served.content) if served.gzipped else served.content
        if served.next_content is not None:
            served.content, served.next_content = served.next_content, None
        etag = f'"{hashlib.md5(content).hexdigest()}"' if served.etag == "content" else served.etag
        offset = 0
        if request.offset is not None and served.ranges:
            current = (etag, served.last_modified)
            if served.refuse_range or request.offset >= len(content):
                return 416
            if request.headers.get("if-range", current[0]) in current:
                offset = request.offset
                if served.wrong_range:
                    served.wrong_range -= 1
                    offset = max(0, offset - 100)
        drop = served.drop_after.pop(0) if served.drop_after else None
        stall = served.stall_after.pop(0) if served.stall_after else None
        partial = request.offset is not None and offset > 0
        return served, content, etag, offset, partial, drop, stall

    def _refuse(self, status: int, served: Served | None) -> None:
        self.send_response(status)
        if served is not None and status == 302:
            self.send_header("Location", served.redirect_to)
        if served is not None and status == 416:
            self.send_header("Content-Range", f"bytes */{len(served.content)}")
        if served is not None and served.disposition:
            self.send_header("Content-Disposition", served.disposition)
            self.send_header("Content-Type", served.content_type)
        if served is not None and served.retry_after is not None:
            self.send_header("Retry-After", served.retry_after)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _send(
        self,
        served: Served,
        content: bytes,
        etag: str | None,
        offset: int,
        partial: bool,
        drop: int | None,
        stall: int | None,
    ) -> None:
        body = content[offset:]
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {offset}-{len(content) - 1}/{len(content)}")
        for name, value in (("ETag", etag), ("Last-Modified", served.last_modified)):
            if value is not None:
                self.send_header(name, value)
        if served.disposition:
            self.send_header("Content-Disposition", served.disposition)
        if served.gzipped or served.labelled_gzip:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", served.content_type)
        self.send_header("Connection", "close")
        length = str(len(body) if served.declared is None else served.declared)
        self.send_header(*(("Transfer-Encoding", "chunked") if served.chunked else ("Content-Length", length)))
        self.end_headers()
        self._write(body, served, drop, stall)

    def _write(self, body: bytes, served: Served, drop: int | None, stall: int | None) -> None:
        end = min(len(body), *(limit for limit in (drop, stall) if limit is not None), len(body))
        for start in range(0, end, served.block):
            block = body[start : min(start + served.block, end)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if served.chunked else block)
            if served.pause:
                self.wfile.flush()
                self.server.closing.wait(served.pause)
        self.wfile.flush()
        if stall is not None and end == stall:
            self.server.closing.wait(20)
        elif served.chunked and end == len(body):
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """Run a server until the block ends."""
    server = FaultyServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
