"""Draw scores over shots."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from results.rows import Row, mean_of_known
from results.table import DAGGER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers; the markers tell lines apart in black and white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def plot_rows(rows: Sequence[Row], keyword: str, path: Path) -> None:
    """Draw the score over shots: a panel per data set, a line per trainer and config, zero-shot as a level.

    Raises:
        ValueError: If no row with at least one shot has finished, or the file's ending names no image format.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = [row for row in rows if row.label.shots >= 1 and row.means[keyword] is not None]
    if not drawn:
        raise ValueError("nothing to plot: no finished run with one shot or more")
    panels = sorted({row.label[:2] for row in drawn})
    methods = sorted({(row.label.trainer, row.label.config) for row in drawn})
    size = (4.5 * len(panels), 3.6)
    figure, axes = pyplot.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")
    for axis, (dataset, subset) in zip(axes[0], panels, strict=True):
        axis.set_title(dataset if subset == "all" else f"{dataset} ({subset})")
        axis.set_ylabel(f"{keyword.replace('_', '-')} (%)")
        _draw_panel(axis, [row for row in drawn if row.label[:2] == (dataset, subset)], methods, keyword)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        figure.savefig(temporary, dpi=150)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        pyplot.close(figure)


def _draw_panel(axis: "Axes", rows: Sequence[Row], methods: Sequence[tuple[str, str]], keyword: str) -> None:
    for number, method in enumerate(methods):
        curve = sorted((row for row in rows if row.label[2:4] == method), key=lambda row: row.label.shots)
        if curve:
            axis.errorbar(
                [row.label.shots for row in curve],
                [row.means[keyword] or 0.0 for row in curve],
                [row.spread or 0.0 for row in curve],
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                capsize=3,
                label=f"{method[0]}{DAGGER * any(row.oracle for row in curve)} ({method[1]})",
            )
    zero_shot = mean_of_known(row.zero_shot for row in rows)
    if zero_shot is not None and keyword != "macro_f1":
        level = zero_shot if keyword == "accuracy" else 100 - zero_shot
        axis.axhline(level, color="0.35", linestyle="--", label="zero-shot")
    shots = sorted({row.label.shots for row in rows})
    axis.set_xscale("log", base=2)
    axis.set_xticks(shots, [str(number) for number in shots])
    axis.minorticks_off()
    axis.set_xlabel("training images per class")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
