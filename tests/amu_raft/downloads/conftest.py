from collections.abc import Iterator

import pytest

from amu_raft.downloads import connection
from tests.amu_raft.downloads.faulty_server import FaultyServer, faulty_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """A server on this machine, and a client that does not wait long between its attempts."""
    monkeypatch.setattr(connection, "BACKOFF", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with faulty_server() as running:
        yield running
