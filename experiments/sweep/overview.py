"""The plan of a sweep as a table: what will run, what is done, how long it will take."""

from collections.abc import Collection, Sequence

from tabulate import tabulate

from experiments.runs.config import trains_anything
from experiments.sweep.axes import ALL_SHOTS
from experiments.sweep.cell import Cell
from experiments.sweep.estimate import Durations, readable_duration


def overview(cells: Sequence[Cell], to_run: Collection[Cell], durations: Durations, processes: int) -> str:
    """Return one row per data set, configuration and trainer, and a line with the sum."""
    groups: dict[tuple[str, str, str, str], list[Cell]] = {}
    for cell in cells:
        dataset = cell.dataset if cell.subset == "all" else f"{cell.dataset} ({cell.subset})"
        groups.setdefault((dataset, cell.trainer, cell.config, "evaluate" if cell.model else "train"), []).append(cell)
    rows = []
    for names, group in groups.items():
        left = [cell for cell in group if cell in to_run]
        whole = ALL_SHOTS if trains_anything(group[0].trainer) else "none"
        shots = " ".join(str(number or whole) for number in dict.fromkeys(cell.num_shots for cell in group))
        seeds = " ".join(map(str, dict.fromkeys(cell.seed for cell in group)))
        estimates = [durations.seconds(cell) for cell in left]
        seconds = None if None in estimates else sum(filter(None, estimates))
        rows.append([*names, shots, seeds, len(group) - len(left), len(left), readable_duration(seconds)])
    headers = ["data set", "trainer", "config", "job", "shots", "seeds", "done", "to run", "estimated"]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    return f"{table}\n{summary(cells, to_run, durations, processes)}"


def summary(cells: Sequence[Cell], to_run: Collection[Cell], durations: Durations, processes: int) -> str:
    """Return how many runs there are, how many are done, and how long the others will take."""
    left = [cell for cell in cells if cell in to_run]
    plural = "" if len(cells) == 1 else "s"
    counts = f"{len(cells)} run{plural}: {len(cells) - len(left)} are done, {len(left)} to run"
    if not left:
        return counts
    seconds = durations.total(left, processes)
    estimated = "unknown until a first run is finished" if seconds is None else f"about {readable_duration(seconds)}"
    if seconds is not None and (unknown := sum(durations.seconds(cell) is None for cell in left)):
        estimated += f" ({unknown} of them taken for average: none of their kind is finished)"
    return f"{counts} in {processes} process{'es' if processes > 1 else ''}; estimated time: {estimated}"
