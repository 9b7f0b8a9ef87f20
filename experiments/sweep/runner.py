"""What carries out the cells of a sweep. Another engine is another class with the same one method."""

import contextlib
import io
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from amu_raft.errors import described
from experiments.sweep.cell import Cell, Outcome
from experiments.sweep.workers import in_processes


class Runner(Protocol):
    """Carries out cells, in any order and on any number of machines.

    The cells of one call do not depend on each other. Each is complete in itself (``Cell.arguments`` is a command line
    of train.py, ``Cell.folder`` must be reachable where results are read) and resumes by itself if it was stopped.
    """

    def run(self, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """Yield one outcome per cell as they come to their ends; a cell that fails or dies is an outcome too.

        Whoever consumes it may stop early, by closing the iterator: then what is running is stopped at once.
        """
        ...


class InProcessRunner:
    """One cell after the other in this process, for a debugger; a cell that kills it ends the sweep.

    Args:
        verbose: Show what runs print.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self.verbose = verbose

    def run(self, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the cells."""
        for cell in cells:
            since, message = time.perf_counter(), None
            try:
                perform(cell, verbose=self.verbose)
            except Exception as error:
                message = described(error)
            yield Outcome(cell, time.perf_counter() - since, message)


class ProcessRunner:
    """Cells in long-lived processes of this machine: each imports torch once and shares the feature store.

    Args:
        environments: Environment variables of each process, as ``experiments.sweep.devices`` makes them.
        verbose: Show what runs print.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]], *, verbose: bool = False) -> None:
        self.environments, self.verbose = environments, verbose

    def run(self, cells: Sequence[Cell]) -> Iterator[Outcome]:
        """Yield the outcomes in order of completion."""
        tasks = in_processes(partial(perform, verbose=self.verbose), cells, self.environments)
        with contextlib.closing(tasks):
            for done in tasks:
                yield Outcome(done.item, done.seconds, done.error)


def perform(cell: Cell, *, verbose: bool = False) -> None:
    """Do one run in this process; what it prints and warns of goes to its log.txt, to the console only if verbose."""
    from experiments.runs.arguments import build_parser
    from experiments.runs.session import run
    from trainers.base.registering import import_strangers

    import_strangers(cell.modules)
    arguments = build_parser().parse_args(list(cell.arguments))
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())  # each run warns anew, as in a process of its own
        if not verbose:
            nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            stack.enter_context(contextlib.redirect_stderr(_ToStandardOutput()))
            stack.enter_context(_no_bars())
        run(arguments)


class _ToStandardOutput(io.TextIOBase):
    """Stands in for standard error: what is written goes where standard output goes now, which is the log of a run."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Switch off the bars of runs: one bar counts them all."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before
