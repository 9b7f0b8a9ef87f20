"""How long a sweep will take, from what finished runs took."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.runs.finished import finished_result
from experiments.sweep.cell import Cell


class _Kind(NamedTuple):
    """Runs that take about as long, but for the number of shots."""

    trainer: str
    dataset: str
    config: str
    evaluates: bool


class Durations:
    """Seconds of finished runs, by trainer, data set, configuration and shots."""

    def __init__(self) -> None:
        self._known: dict[_Kind, dict[int, list[float]]] = {}

    def add(self, cell: Cell, seconds: float, num_shots: int | None = None) -> None:
        """Note how long a run like a cell took, at the cell's number of shots or another."""
        by_shots = self._known.setdefault(_kind(cell), {})
        by_shots.setdefault(cell.num_shots if num_shots is None else num_shots, []).append(seconds)

    def read(self, cells: Iterable[Cell]) -> None:
        """Note the finished runs that lie where cells of the plan do, also those of other shots and seeds."""
        seen: set[Path] = set()
        for cell in cells:
            for folder in (cell.folder, *cell.folder.parent.parent.glob(f"{cell.config}_*shots/seed*")):
                result = None if folder in seen else finished_result(folder)
                seen.add(folder)
                try:
                    if result is not None:
                        self.add(cell, float(result["seconds"]["total"]), int(result["num_shots"]))
                except (LookupError, TypeError, ValueError):
                    continue  # a result of another version: it is not needed

    def seconds(self, cell: Cell) -> float | None:
        """Return what a cell will take: the mean of runs at its shots, else at any; None if there are none."""
        by_shots = self._known.get(_kind(cell), {})
        values = by_shots.get(cell.num_shots) or [value for values in by_shots.values() for value in values]
        return statistics.fmean(values) if values else None

    def total(self, cells: Sequence[Cell], processes: int) -> float | None:
        """Return the seconds that cells will take in so many processes, None if nothing at all is known.

        Those of which nothing is known are taken to need the mean of the other cells, else of all finished runs.
        """
        if not cells:
            return 0.0
        estimates = [self.seconds(cell) for cell in cells]
        known = [seconds for seconds in estimates if seconds is not None]
        any_run = known or [value for by_shots in self._known.values() for row in by_shots.values() for value in row]
        if not any_run:
            return None
        total = sum(known) + (len(cells) - len(known)) * statistics.fmean(any_run)
        return max([total / min(processes, len(cells)), *known])


def _kind(cell: Cell) -> _Kind:
    return _Kind(cell.trainer, cell.dataset, cell.config, cell.model is not None)


def readable_duration(seconds: float | None) -> str:
    """Return a duration for people: "unknown", "45 s", "12 min", "3.4 h"."""
    if seconds is None:
        return "unknown"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
