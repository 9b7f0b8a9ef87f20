"""Reliability diagrams: how often a prediction is right at each confidence, one panel per method."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from amu_raft.model.reliability import NUM_BINS, Reliability, reliability
from experiments.results.figures.names import shorten_distinctly
from experiments.results.figures.style import COLOURS, COLUMN_WIDTH, PAGE_WIDTH, new_figure, say_nothing_to_draw, styled

_COLUMNS = 4
_TITLE_LENGTH = 24  # characters that a narrow panel has room for
_ONE_LINE = 11  # characters of a name beside which the error has room as well


@styled
def reliability_figure(methods: Mapping[str, tuple[ArrayLike, ArrayLike]], *, num_bins: int = NUM_BINS) -> Figure:
    """Draw a reliability diagram for each method, and below it where its confidences lie.

    Args:
        methods: By name: confidence of the predicted class in [0, 1] (N,) and whether it is right (N,).
        num_bins: Bins of equal width.

    Raises:
        ValueError: If shapes differ or a confidence is no probability.
    """
    measured = {name: reliability(confidence, correct, num_bins) for name, (confidence, correct) in methods.items()}
    columns = min(_COLUMNS, max(1, len(measured)))
    bands = max(1, -(-len(measured) // columns))
    width = {1: 0.75 * COLUMN_WIDTH, 2: 0.65 * PAGE_WIDTH}.get(columns, PAGE_WIDTH)
    figure = new_figure(width, bands * (width / columns + 0.75))
    axes = figure.subplots(2 * bands, columns, squeeze=False, height_ratios=(3.2, 1.0) * bands)
    names = list(measured)
    titles = shorten_distinctly(names, _TITLE_LENGTH)
    for number in range(bands * columns):
        band, column = divmod(number, columns)
        upper, lower = axes[2 * band, column], axes[2 * band + 1, column]
        if number >= len(names):
            lower.set_visible(False)
            upper.set_visible(not names)
            if not names:
                say_nothing_to_draw(upper, "no predictions")
            continue
        lower.sharex(upper)  # each bar stands above the share of images that it is about
        _draw_diagram(upper, titles[names[number]], measured[names[number]], legend=number == 0)
        _draw_counts(lower, measured[names[number]])
        lower.set_visible(bool(measured[names[number]].count.sum()))
        if column == 0:
            upper.set_ylabel("accuracy")
            lower.set_ylabel("images (%)")
    return figure


def _draw_diagram(axis: Axes, name: str, found: Reliability, *, legend: bool) -> None:
    separator = ": " if len(name) <= _ONE_LINE else "\n"
    axis.set_title(f"{name}{separator}ECE {100 * found.ece:.1f} %" if found.count.sum() else name)
    if not found.count.sum():
        say_nothing_to_draw(axis, "no images")
        return
    width = np.diff(found.edges)
    middle = found.edges[:-1] + width / 2
    filled = found.count > 0
    axis.bar(
        middle[filled],
        found.accuracy[filled],
        width=width[filled],
        color=COLOURS[5],
        edgecolor="black",
        linewidth=0.5,
        label="accuracy",
    )
    # What separates a bar from the mean confidence of its images, which the ECE averages.
    gap = found.confidence - found.accuracy
    axis.bar(
        middle[filled],
        gap[filled],
        width=width[filled],
        bottom=found.accuracy[filled],
        color="none",
        edgecolor=COLOURS[1],
        hatch="////",
        linewidth=0.5,
        label="to confidence",
    )
    axis.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=0.9)
    axis.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.tick_params(labelbottom=False)
    if legend:
        axis.legend(loc="upper left", handlelength=1.2, handletextpad=0.4, borderaxespad=0.0)


def _draw_counts(axis: Axes, found: Reliability) -> None:
    if found.count.sum():
        width = np.diff(found.edges)
        axis.bar(found.edges[:-1] + width / 2, 100 * found.count / found.count.sum(), width=width * 0.9, color="0.45")
        top = 10 * math.ceil(10 * found.count.max() / found.count.sum())
        axis.set(ylim=(0, top), yticks=[0, top])
    axis.set(xlim=(0, 1), xticks=[0, 0.5, 1], xlabel="confidence")
