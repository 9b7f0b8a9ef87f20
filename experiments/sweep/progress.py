"""What is seen of a sweep while it runs: one bar on a terminal, else one line per run."""

import os
import sys
from collections.abc import Sequence

from tqdm import tqdm

from experiments.sweep.cell import Cell, Outcome
from experiments.sweep.estimate import Durations, readable_duration

BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} runs, {elapsed}{postfix}"


class Progress:
    """Counts the cells that ended, and says how long the others will take.

    Args:
        cells: What is to be run.
        durations: What is known of how long runs take; grows with every run.
        processes: How many run at a time.
        bar: Show a bar; None shows one on a terminal, unless TQDM_DISABLE is set.
    """

    def __init__(self, cells: Sequence[Cell], durations: Durations, processes: int, *, bar: bool | None = None) -> None:
        self.left, self.durations, self.processes = list(cells), durations, processes
        self.total = len(cells)
        shown = sys.stderr.isatty() and not os.environ.get("TQDM_DISABLE") if bar is None else bar
        self.bar = tqdm(total=self.total, bar_format=BAR, dynamic_ncols=True, disable=not shown)
        self._show()

    def note(self, outcome: Outcome) -> None:
        """Count a cell that ended."""
        self.left.remove(outcome.cell)
        if outcome.error is None:
            self.durations.add(outcome.cell, outcome.seconds)
        name = outcome.cell.name
        if self.bar.disable:
            number = f"[{self.total - len(self.left)}/{self.total}]"
            ending = f"failed: {outcome.error}" if outcome.error else readable_duration(outcome.seconds)
            print(f"{number} {name}: {ending}{self._remaining()}", flush=True)
        elif outcome.error:
            self.bar.write(f"failed: {name}: {outcome.error}", file=sys.stderr)
        self.bar.update()
        self._show()

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()

    def _show(self) -> None:
        if not self.bar.disable:
            self.bar.set_postfix_str(self._remaining().removeprefix(", "))

    def _remaining(self) -> str:
        if not self.left:
            return ""
        return f", left: {readable_duration(self.durations.total(self.left, self.processes))}"
