"""Carry out the cells of a plan: models first, then what evaluates them; record what fails and go on."""

import contextlib
import itertools
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from experiments.runs.config import RunPlan
from experiments.runs.failure import facts_of, write_failure
from experiments.runs.finished import finished_result
from experiments.runs.folder_lock import in_use
from experiments.sweep.cell import Cell, Outcome
from experiments.sweep.runner import Runner

STOPPING = (signal.SIGINT, signal.SIGTERM)


def carry_out(plans: Mapping[Cell, RunPlan], runner: Runner, note: Callable[[Outcome], None]) -> list[Outcome]:
    """Carry out cells and return what became of each.

    A run that fails, or whose process dies, leaves failure.json in its folder, unless another process works there.
    A model that is not there makes its evaluations fail.

    Args:
        plans: What is to be run.
        runner: What runs it.
        note: Called with every outcome as it comes.

    Raises:
        KeyboardInterrupt: If it was stopped; nothing runs any more then.
    """
    outcomes: list[Outcome] = []
    for wave in ([cell for cell in plans if cell.model is None], [cell for cell in plans if cell.model is not None]):
        ready = [cell for cell in wave if cell.model is None or finished_result(cell.model) is not None]
        lost = [Outcome(cell, 0.0, f"no trained model in {cell.model}") for cell in wave if cell not in ready]
        running: Any = runner.run(ready)
        with contextlib.closing(running):
            for outcome in itertools.chain(lost, running):
                if outcome.error and outcome.error != in_use(outcome.cell.folder):
                    with contextlib.suppress(OSError):  # the run's own error says that its folder cannot be written
                        write_failure(outcome.cell.folder, outcome.error, facts_of(plans[outcome.cell]))
                note(outcome)
                outcomes.append(outcome)
    return outcomes


def still_to_run(cells: Sequence[Cell], finished: Collection[Cell]) -> list[Cell]:
    """Return the cells that are not finished, and evaluations of models that are about to be trained anew."""
    trained = {cell.folder for cell in cells if cell not in finished}
    return [cell for cell in cells if cell not in finished or cell.model in trained]


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a KeyboardInterrupt, and let nothing cut short the cleaning up after it."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
