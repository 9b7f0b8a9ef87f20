"""A server in a process of its own, as it is started from a terminal."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.interruptible import interruptible

REPOSITORY = Path(__file__).parents[3]


class Server(NamedTuple):
    """A running server and its address."""

    process: "subprocess.Popen[str]"
    address: str


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "toolbox")])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@contextmanager
def serving(model: Path, *argv: str) -> Iterator[Server]:
    """Serve a model at a free port until the block ends."""
    command = [sys.executable, "-m", "serve", "--model", str(model), "--port", "0", "--device", "cpu", *argv]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=REPOSITORY,
        preexec_fn=interruptible,
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            line = process.stdout.readline()
            assert "http://" in line, process.stderr.read()
            yield Server(process, line.split()[-1])
        finally:
            process.kill()
