"""Clients that speak HTTP badly, slowly or not at all, over real sockets."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn

from amu_raft.serve import connections as module
from amu_raft.serve.app import build_app
from amu_raft.serve.classify import Classifier
from amu_raft.serve.connections import connections
from amu_raft.serve.guards import HEADERS, Guards
from amu_raft.serve.limits import Limits
from amu_raft.serve.server import listen
from tests.amu_raft.serve.conftest import picture

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
Started = Callable[..., tuple[str, int]]


@contextmanager
def running(classifier: Classifier) -> Iterator[tuple[str, int]]:
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(
            build_app(classifier),
            http=connections(classifier.limits),  # type: ignore[arg-type]
            lifespan="on",
            log_level="error",
            ws="none",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def started(classifier_of: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    monkeypatch.setattr(module, "_GRACE", 0.3)
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(running(classifier_of("ZeroshotCLIP", **limits)))


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=10)


def all_of(client: socket.socket) -> bytes:
    """Everything until the server closes; a reset raises ConnectionResetError."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def post(body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    lines = [
        *("POST /api/predict HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=b"),
        *(f"Content-Length: {len(body) if length is None else length}", "Connection: close"),
    ]
    return "\r\n".join([*lines, *([more] if more else []), "", ""]).encode() + body


def form(content: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + content + b"\r\n--b--\r\n"


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nx-never: e"])
def test_who_does_not_ask_is_let_go(said: bytes, started: Started) -> None:
    """Single bytes of a header, now and then, do not keep a connection."""
    address, begun = started(seconds=0.5), time.monotonic()
    with connected(address) as client:
        with pytest.raises(ConnectionError):
            client.sendall(said)
            while time.monotonic() < begun + 8:
                time.sleep(0.1)
                client.sendall(b"e" if said else b"")
                client.settimeout(0.01)
                try:
                    if client.recv(1) == b"":
                        raise ConnectionResetError
                except TimeoutError:
                    pass
        assert 0.6 < time.monotonic() - begun < 5


def test_who_asks_again_is_kept(started: Started) -> None:
    with connected(started(seconds=0.5)) as client:
        for _ in range(4):
            client.sendall(ASK)
            answer = b""
            while b'{"status":"ok"}' not in answer:
                answer += client.recv(65536)
            time.sleep(0.4)


def test_more_connections_than_allowed_are_closed(started: Started) -> None:
    address = started(connections=2)
    with connected(address), connected(address) as second, connected(address) as third:
        second.sendall(ASK)
        assert second.recv(65536).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionError):
            third.sendall(ASK)
            if third.recv(1) == b"":
                raise ConnectionResetError


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (form(bytes(30_000_000)), "", b"413"),
        (form(bytes(15_000_000)), "Origin: null", b"403"),
        (b"--b\r\n" + bytes(15_000_000), "", b"400"),
    ],
)
def test_a_refusal_is_heard_by_who_sends_first(body: bytes, more: str, status: bytes, started: Started) -> None:
    """Many clients listen only after all is sent, and closing on what is unread would reset the connection."""
    with connected(started(request_bytes=20_000_000)) as client:
        client.sendall(post(body, more=more))
        answer = all_of(client)
        assert answer.split()[1] == status and json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_who_asks_first_need_not_send(started: Started) -> None:
    with connected(started(request_bytes=1000)) as client:
        client.sendall(post(b"", length=5000, more="Expect: 100-continue"))
        assert all_of(client).startswith(b"HTTP/1.1 413")


def test_what_is_no_http_is_answered_like_the_rest(started: Started) -> None:
    with connected(started()) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        head, _, body = all_of(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") and json.loads(body)["error"]
    assert all(name.encode() in head for name in HEADERS)


def test_for_who_has_left_nothing_is_computed(
    started: Started, classifier_of: Callable[..., Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reached, go, honest = [], threading.Event(), threading.Event(), Classifier._read

    def slow(self: Classifier, upload: Any) -> Any:
        read.append(upload.name)
        reached.set()
        assert go.wait(20)
        return honest(self, upload)

    monkeypatch.setattr(Classifier, "_read", slow)
    address = started()
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="many"\r\n\r\n' + picture() + b"\r\n"
    with connected(address) as client:
        client.sendall(post(part * 9 + b"--b--\r\n").replace(b"/api/predict ", b"/api/predict-batch "))
        assert reached.wait(10)
    time.sleep(0.3)
    go.set()
    with connected(address) as client:
        client.sendall(post(form(picture())))
        assert all_of(client).startswith(b"HTTP/1.1 200")
    assert read == ["many", "a"]


def test_stopping_is_told_to_who_waits() -> None:
    sent: list[Any] = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def receive() -> Any:
        raise AssertionError("nobody sends")

    async def send(message: Any) -> None:
        sent.append(message)

    async def stop() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
        task = asyncio.ensure_future(Guards(never, Limits())(scope, receive, send))
        await asyncio.sleep(0.05)
        task.cancel()
        await task  # no CancelledError, of which uvicorn would print a traceback

    asyncio.run(stop())
    assert sent[0]["status"] == 503 and b"the server is stopping" in sent[1]["body"]
