"""Choose, among many runs, those that the page looks at image by image."""

from collections.abc import Sequence

from experiments.results.cells import Cell
from experiments.results.predictions import PREDICTIONS_FILE
from experiments.results.run_folders import Run


def looked_at(cells: Sequence[Cell]) -> list[tuple[Cell, Run]]:
    """Return one run of every cell, its lowest finished seed (with predictions, if any has), the most telling first.

    The cell with the most shots of each trainer on each data set comes first, so that all methods are there before the
    page is full.
    """
    rank: dict[tuple[str, ...], int] = {}
    ranked: list[tuple[int, int, Cell]] = []
    for cell in sorted(cells, key=lambda cell: -cell.label.shots):
        if not cell.runs:
            continue
        kind = _kind(cell)
        rank[kind] = rank.get(kind, -1) + 1
        ranked.append((rank[kind], len(ranked), cell))
    return [(cell, _run(cell)) for _, _, cell in sorted(ranked, key=lambda item: item[:2])]


def most_shots(cells: Sequence[Cell]) -> list[tuple[Cell, Run]]:
    """Return one run of every trainer on every data set: that of its cell with the most shots, in the cells' order."""
    seen: dict[tuple[str, ...], Cell] = {}
    for cell in cells:
        if cell.runs and cell.label.shots >= getattr(seen.get(_kind(cell)), "label", cell.label).shots:
            seen[_kind(cell)] = cell
    return [(cell, _run(cell)) for cell in seen.values()]


def _kind(cell: Cell) -> tuple[str, ...]:
    return (*(str(part) for part in cell.label._replace(shots=0)), cell.variant)


def _run(cell: Cell) -> Run:
    return next((run for run in cell.runs if (run.folder / PREDICTIONS_FILE).is_file()), cell.runs[0])
