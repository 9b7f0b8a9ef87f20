"""What every request passes on its way in, and every answer on its way out; below it nothing has to think of it."""

import asyncio
import json
import logging
from collections.abc import Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from amu_raft.serve.limits import Limits

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
FAILED = "this request failed; the server's log says why"
STOPPING = "the server is stopping"
_LOG = logging.getLogger("serve")


class _BodyRefusedError(Exception):
    pass


class _Exchange:
    """One request and its answer."""

    def __init__(self, guards: "Guards", scope: Scope, receive: Receive, send: Send) -> None:
        self.guards = guards
        self._receive = receive
        self._send = send
        self.size = 0
        self.started = False
        self.refusal: tuple[int, str] | None = None
        headers = _decoded(scope)
        self.sending = "content-length" in headers or "transfer-encoding" in headers
        self.asks_first = headers.get("expect", "").lower() == "100-continue"

    async def receive(self) -> Message:
        """Pass a part of the body on, unless the body has become too large."""
        message = await self._receive_any()
        if message["type"] == "http.request":
            more = len(message.get("body", b""))
            self.size += more
            self.guards.held += more
            limits = self.guards.limits
            if self.size > limits.request_bytes:
                self.refusal = (413, f"the request has more than {limits.request_bytes:,} bytes")
            elif self.guards.held > limits.held_bytes:
                self.refusal = (503, "too many large requests at once; try again later")
            if self.refusal is not None:
                raise _BodyRefusedError
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on with the headers that all answers have; none after a refusal."""
        if self.refusal is not None:
            return
        if message["type"] == "http.response.start":
            await self._hear_out()
            self.started = True
            kept = [pair for pair in message.get("headers", []) if pair[0].lower().decode("latin-1") not in HEADERS]
            message = {**message, "headers": [*kept, *_encoded(HEADERS)]}
        await self._send(message)

    async def _receive_any(self) -> Message:
        message = await self._receive()
        self.asks_first = False
        self.sending = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def _hear_out(self) -> None:
        """Drop what is still being sent: who sends does not listen, and would find the connection reset."""
        while self.sending and not self.asks_first:
            await self._receive_any()

    async def answer(self, status: int, error: str, *, at_once: bool = False) -> None:
        """Send an error, if no answer has begun; ``at_once`` also to one who is still sending."""
        self.refusal = None
        self.sending = self.sending and not at_once
        if self.started:
            return
        body = json.dumps({"error": error}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
        if status == 503:
            headers["retry-after"] = "5"
        await self.send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
        await self.send({"type": "http.response.body", "body": body})


class Guards:
    """An ASGI application around another one.

    Refused are requests under a foreign host name (a page elsewhere can make its own name lead to this machine),
    POSTs that a page of another origin sends, too large bodies, and POSTs beyond those that may be in the house. What
    takes longer than the limit is cancelled, the upload included.

    Args:
        app: What answers.
        limits: Of these those of whole requests.
        hosts: Accepted names in the Host header; None for any.
    """

    def __init__(self, app: ASGIApp, limits: Limits, hosts: Collection[str] | None = LOOPBACK) -> None:
        self.app = app
        self.limits = limits
        self.hosts = None if hosts is None else {name.lower() for name in hosts}
        self.inside = 0
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        try:
            await asyncio.wait_for(self._answer(scope, exchange), self.limits.seconds)
        except asyncio.TimeoutError:
            error = f"no answer within {self.limits.seconds:g} seconds; send fewer pictures"
            await exchange.answer(504, error, at_once=True)
        except asyncio.CancelledError:  # as the server stops, and nobody waits for this task
            await exchange.answer(503, STOPPING, at_once=True)

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            refusal = await self._let_in(scope, exchange)
        if refusal is not None:
            await exchange.answer(*refusal)

    async def _let_in(self, scope: Scope, exchange: _Exchange) -> tuple[int, str] | None:
        counted = int(scope["method"] == "POST")
        self.inside += counted
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.refusal is None:
                _LOG.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
                return 500, FAILED
        finally:
            self.inside -= counted
            self.held -= exchange.size
        return exchange.refusal

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = _decoded(scope)
        host = headers.get("host", "")
        if self.hosts is not None and _name_of(host) not in self.hosts:
            return 421, f"this server answers as {', '.join(sorted(self.hosts))} only"
        if scope["method"] != "POST":
            return None
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return 403, "requests from pages of another origin are refused"
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdigit() and int(length[:20]) > self.limits.request_bytes:
            return 413, f"the request has more than {self.limits.request_bytes:,} bytes"
        if self.inside >= self.limits.requests:
            return 503, f"{self.limits.requests} requests are being answered already; try again later"
        return None


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name_of(host: str) -> str:
    """Return the host name of a Host header, without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _decoded(scope: MutableMapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
