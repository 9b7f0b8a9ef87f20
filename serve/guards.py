"""What every request passes on its way in, and every answer on its way out; below it nothing has to think of it."""

import asyncio
import json
import logging
from collections.abc import Collection, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.limits import Limits

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
_LOG = logging.getLogger("serve")


class _BodyRefusedError(Exception):
    pass


class _Exchange:
    """One request and its answer."""

    def __init__(self, guards: "Guards", receive: Receive, send: Send) -> None:
        self.guards = guards
        self._receive = receive
        self._send = send
        self.size = 0
        self.started = False
        self.refusal: tuple[int, str] | None = None

    async def receive(self) -> Message:
        """Pass a part of the body on, unless the body has become too large."""
        message = await self._receive()
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
            self.started = True
            kept = [pair for pair in message.get("headers", []) if pair[0].lower().decode("latin-1") not in HEADERS]
            message = {**message, "headers": [*kept, *_encoded(HEADERS)]}
        await self._send(message)

    async def answer(self, status: int, error: str) -> None:
        """Send an error, if no answer has begun."""
        self.refusal = None
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
        self.hosts = hosts
        self.inside = 0
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, receive, send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await exchange.answer(*refusal)
            return
        counted = int(scope["method"] == "POST")
        self.inside += counted
        try:
            await self._answer(scope, exchange)
        finally:
            self.inside -= counted
            self.held -= exchange.size

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            await asyncio.wait_for(self.app(scope, exchange.receive, exchange.send), self.limits.seconds)
        except asyncio.TimeoutError:
            await exchange.answer(504, f"no answer within {self.limits.seconds:g} seconds; send fewer pictures")
        except Exception as error:
            if exchange.refusal is None:
                _LOG.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
                await exchange.answer(500, FAILED)
        if exchange.refusal is not None:
            await exchange.answer(*exchange.refusal)

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
