"""Connections that neither ask nor listen are let go: what uvicorn leaves to a proxy before it."""

import asyncio
import functools
import json
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from amu_raft.serve.guards import HEADERS
from amu_raft.serve.limits import Limits

_GRACE = 10.0  # seconds for the end of an answer that was given in time


class Connection(H11Protocol):
    """One connection.

    A request must have come, be answered, and its answer be taken, each within a time that single bytes do not
    prolong. What is no HTTP is answered as everything else.

    Args:
        limits: Of these ``seconds`` and ``connections``.
        arguments: Of uvicorn.
    """

    def __init__(self, *, limits: Limits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.abort()
        self._wait_anew()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Begin to wait for an answer, if a request has come."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._wait_anew()

    def on_response_complete(self) -> None:
        """Begin to wait until it is taken and something else is asked."""
        self._wait_anew()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        body = json.dumps({"error": msg}).encode()
        headers = {**HEADERS, "content-type": "application/json", "content-length": len(body), "connection": "close"}
        lines = ["HTTP/1.1 400 Bad Request", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.transport.write("\r\n".join(lines).encode() + body)
        self.transport.close()

    def _wait_anew(self) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = self.loop.call_later(self._limits.seconds + _GRACE, self.transport.abort)


def connections(limits: Limits) -> Callable[..., asyncio.Protocol]:
    """Return what uvicorn makes a connection with."""
    return functools.partial(Connection, limits=limits)
