"""One page with everything in it, made once."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.results.report import write_report
from experiments.results.run_folders import Run
from tests.browser.chromium import Browser, chromium
from tests.experiments.results.example_runs import CLASSNAMES
from tests.experiments.results.report.example_report import NASTY, write_example_runs, write_run


class Report(NamedTuple):
    """The page, and the runs that it is about."""

    path: Path
    text: str
    runs: list[Run]
    root: Path


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = tmp_path_factory.mktemp("report") / "runs"
    write_run(root, "digits", "RAFT", 16, 1, classnames=(NASTY, *CLASSNAMES[1:]))
    runs = write_example_runs(root, shots=(4,))
    path = root.parent / "page" / "report.html"
    path.parent.mkdir()
    write_report(runs, path, pair=("AMU", "RAFT"), wrong_images=3)
    return Report(path, path.read_text(encoding="utf-8"), runs, root)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started
