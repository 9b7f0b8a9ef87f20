"""From the cells of the table to the figure of scores over shots."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from experiments.results.averages import average_over_datasets
from experiments.results.cells import Cell, shown_dataset, shown_trainer
from experiments.results.figures.accuracy import AVERAGE, ZERO_SHOT, Curve, Panel, accuracy_figure
from experiments.results.figures.output import save_figure
from experiments.results.rows import SPREADS

Published = Sequence[tuple[str, Curve]]  # each curve with its data set


def plot_cells(
    cells: Sequence[Cell], keyword: str, path: Path, *, spread: str = "std", published: Published = ()
) -> None:
    """Draw the score over shots into a file: a panel per data set, a curve per trainer, config and variant.

    Args:
        cells: As ``gather_cells`` makes them.
        keyword: The score.
        path: The file; its ending says the format.
        spread: "std" or "ci95".
        published: The literature's curves; those of data sets without a run are not drawn.

    Raises:
        ValueError: If no run has finished, or the file's ending names no image format.
    """
    panels = accuracy_panels(cells, keyword, spread=spread, published=published)
    if not any(panel.shows_anything() for panel in panels):
        raise ValueError("nothing to plot: no finished run of a known number of shots")
    score = f"{keyword.replace('_', '-')} (%)"
    save_figure(accuracy_figure(panels, spread_name=SPREADS[spread], score=score), path)


def accuracy_panels(
    cells: Sequence[Cell], keyword: str, *, spread: str = "std", published: Published = ()
) -> list[Panel]:
    """Gather cells into a panel per data set and one for their average.

    There is an average if two data sets or more have something to show, and cells are about whole data sets.
    """
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[shown_dataset(cell.label)].append(cell)
    panels = []
    for dataset, group in groups.items():
        literature = [curve for name, curve in published if name == dataset and keyword == "accuracy"]
        panels.append(Panel(dataset, [*_curves(group, keyword, spread), *literature], _zero_shot(group, keyword)))
    whole = all(cell.label.subset == "all" and not cell.label.trained_on for cell in cells)
    shown = [panel for panel in panels if panel.shows_anything()]
    return [average_panel(panels, cells, keyword, spread), *panels] if whole and len(shown) > 1 else panels


def average_panel(panels: Sequence[Panel], cells: Sequence[Cell], keyword: str, spread: str) -> Panel:
    """Return the mean over the data sets of what every one of them has: no point stands for fewer than the others."""
    by_place: dict[tuple[str, int], dict[str, Cell]] = defaultdict(dict)
    for cell in cells:
        if cell.values(keyword):
            by_place[_name(cell), cell.label.shots][cell.label.dataset] = cell
    curves = []
    for name, like in {curve.name: curve for panel in panels for curve in panel.curves}.items():
        shots, means = [], []
        for number in sorted({number for panel in panels for curve in panel.curves for number in curve.shots}):
            if like.published:
                values = [{0: a} for panel in panels for a in [_value(panel, name, number)] if a is not None]
            else:
                values = [cell.values(keyword) for cell in by_place[name, number].values()]  # type: ignore[misc]
            if len(values) == len(panels):
                shots.append(number)
                means.append(average_over_datasets(values))  # type: ignore[arg-type]
        accuracy, spreads = [mean.mean for mean in means], [mean.spread(spread) for mean in means]
        curves.append(Curve(name, shots, accuracy, spreads, like.oracle, like.published))
    levels = [panel.levels() for panel in panels]
    common = [name for name in levels[0] if all(name in level for level in levels)]
    return Panel(AVERAGE, curves, {name: sum(level[name] for level in levels) / len(levels) for name in common})


def _value(panel: Panel, name: str, shots: int) -> float | None:
    points = [point for curve in panel.curves if curve.name == name for point in curve.points()]
    return next((accuracy for number, accuracy, _ in points if number == shots), None)


def _name(cell: Cell) -> str:
    return f"{shown_trainer(cell.label.trainer, cell.variant, oracle=False)} ({_place(cell)})"


def _place(cell: Cell) -> str:
    """Return config and backbone; the tiny config's backbone is called so too."""
    label = cell.label
    return label.config if label.backbone in ("", label.config) else f"{label.config}, {label.backbone}"


def _curves(cells: Sequence[Cell], keyword: str, spread: str) -> list[Curve]:
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.label.shots >= 1:
            groups[_name(cell)].append(cell)
    curves = []
    for name, group in sorted(groups.items()):
        summaries = [cell.summary(keyword) for cell in group]
        means, spreads = [found.mean for found in summaries], [found.spread(spread) for found in summaries]
        shots = [cell.label.shots for cell in group]
        curves.append(Curve(name, shots, means, spreads, oracle=any(cell.oracle for cell in group)))
    return curves


def _zero_shot(cells: Sequence[Cell], keyword: str) -> dict[str, float]:
    """Return zero-shot CLIP's score: once where all agree about it, else by config, for backbones differ."""
    if keyword == "macro_f1":  # runs record zero-shot CLIP's accuracy alone
        return {}
    found: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        if cell.zero_shot is not None:
            found[_place(cell)].append(cell.zero_shot if keyword == "accuracy" else 100 - cell.zero_shot)
    levels = {place: sum(values) / len(values) for place, values in sorted(found.items())}
    if levels and max(levels.values()) - min(levels.values()) < 0.005:  # no difference that a table would show
        return {ZERO_SHOT: next(iter(levels.values()))}
    return {f"{ZERO_SHOT} ({place})": value for place, value in levels.items()}
