from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amu_raft.downloads import connection
from datasets.catalog import Entry, read_catalog
from datasets.prepare import obtaining
from datasets.prepare.job import Job
from tests.amu_raft.downloads.faulty_server import FaultyServer, faulty_server
from tests.datasets.miniatures.archives import published, serve, source_path, write_catalog
from tests.datasets.prepare.fault_table import OUTCOMES


class Publisher:
    """Miniatures as they are published, on a server of this machine, and a data root to prepare them in."""

    def __init__(self, server: FaultyServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.root = folder / "data"
        self.root.mkdir()
        self.entries: dict[str, dict[str, Any]] = {}

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.yaml"

    def publish(self, *names: str) -> None:
        for name in names:
            self.entries[name] = serve(name, self.server.add, self.server.url(""))
        self.write()

    def write(self) -> None:
        """Write the catalog again after ``entries`` were changed."""
        write_catalog(self.catalog, self.entries.values())

    def download(self, name: str, part: str, number: int = 0) -> dict[str, Any]:
        """The catalog's words about a file, to be changed before ``write``."""
        parts = self.entries[name]["parts"]
        found: dict[str, Any] = next(one for one in parts if one["name"] == part)["alternatives"][number]
        return found

    def give_archives(self, name: str, *parts: str, number: int = 0) -> Path:
        """Put archives where --archives finds them."""
        folder = self.folder / "archives"
        folder.mkdir(exist_ok=True)
        for part in parts:
            (folder / self.download(name, part, number)["file"]).write_bytes(published(name)[0][part, number])
        return folder

    def command(self, *names: str, archives: Path | None = None, **_: Any) -> list[str]:
        given = ["--archives", str(archives)] if archives else []
        return [*names, "--root", str(self.root), "--catalog", str(self.catalog), *given]

    def entry(self, name: str) -> Entry:
        return read_catalog(self.catalog)[name]

    def job(self, name: str, **options: Any) -> Job:
        return Job(self.entry(name), self.root, **options)

    def served(self, name: str, part: str, number: int = 0, source: int = 0) -> Any:
        """The file on the server, to be broken."""
        return self.server.files[source_path(name, part, number, source)]

    def asked_for(self, name: str, part: str, number: int = 0, source: int = 0) -> int:
        """How often a source was asked."""
        return len(self.server.offsets(source_path(name, part, number, source)))


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A server, and a client that neither waits long nor tries often."""
    monkeypatch.setattr(connection, "BACKOFF", 0.01)
    monkeypatch.setattr(obtaining, "ATTEMPTS", 3)
    monkeypatch.setattr(obtaining, "TIMEOUT", 0.3)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with faulty_server() as server:
        yield Publisher(server, tmp_path)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print which fault ended how, and in how many cases."""
    if not OUTCOMES:
        return
    terminalreporter.section("faults while data sets were prepared")
    counted = Counter(OUTCOMES)
    width = max(len(fault) for fault, _ in counted)
    terminalreporter.write_line(f"{'fault':{width}} | {'outcome':30} | cases")
    for (fault, outcome), cases in sorted(counted.items()):
        terminalreporter.write_line(f"{fault:{width}} | {outcome:30} | {cases}")


MakeCfg = Callable[..., Any]
