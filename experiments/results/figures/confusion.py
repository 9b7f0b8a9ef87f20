"""Which classes are taken for which: the confusion matrix, or with many classes the pairs confused most."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from experiments.results.figures.labels import check_labels
from experiments.results.figures.style import (
    COLOURS,
    CONFUSIONS,
    MISSING,
    PAGE_WIDTH,
    SMALL,
    new_figure,
    say_nothing_to_draw,
    shorten,
    styled,
)

MOST_CLASSES = 40  # rows that can be labelled on a page
MOST_PAIRS = 20
_NUMBERED = 15  # classes up to which each cell has room for its number
_BLOCKS = 50


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> NDArray[np.int64]:
    """Count images by true class (rows) and predicted class (columns), (C, C).

    Raises:
        ValueError: If the shapes differ or a class is out of range.
    """
    truth, guess = check_labels(labels, predicted, num_classes)
    counts = np.bincount(truth * num_classes + guess, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def shares_of_rows(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide each row by its sum, to percent; a row without images is NaN."""
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = 100 * counts / counts.sum(axis=1, keepdims=True)
    return shares


@styled
def confusion_figure(labels: ArrayLike, predicted: ArrayLike, classnames: Sequence[str], *, title: str = "") -> Figure:
    """Draw the confusion matrix, each row in percent of its class's images.

    With more than 40 classes nobody can read its labels: then the pairs confused most often are named, beside the
    matrix of blocks of neighbouring classes.

    Args:
        labels: True classes, (N,), integers below C.
        predicted: (N,).
        classnames: C names.
        title: Of the figure.

    Raises:
        ValueError: If the shapes differ, or a class is out of range.
    """
    counts = confusion_matrix(labels, predicted, len(classnames))
    if not counts.sum():
        figure = new_figure(0.5 * PAGE_WIDTH, 1.5)
        say_nothing_to_draw(figure.subplots(), "no evaluated images,\nso no confusion matrix")
    elif len(classnames) <= MOST_CLASSES:
        figure = _labelled_matrix(counts, classnames)
    else:
        figure = _pairs_and_blocks(counts, classnames)
    if title:
        figure.suptitle(title)
    return figure


def _labelled_matrix(counts: NDArray[np.int64], classnames: Sequence[str]) -> Figure:
    number = len(classnames)
    side = max(2.2, min(0.34 * number, max(3.4, 0.145 * number)))
    figure = new_figure(side + 2.2, side + 1.5)
    axis = figure.subplots()
    shares = shares_of_rows(counts)
    _show(axis, shares, "share of the class's images (%)")
    names = [shorten(name) for name in classnames]
    axis.set_xticks(range(number), names, rotation=90)
    axis.set_yticks(range(number), names)
    axis.tick_params(length=0)
    axis.set(xlabel="predicted class", ylabel="true class")
    if number <= _NUMBERED:
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            colour = "white" if share > 55 else "black"
            text = f"{share:.0f}" if share >= 1 else "<1"
            axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=SMALL)
    return figure


def _pairs_and_blocks(counts: NDArray[np.int64], classnames: Sequence[str]) -> Figure:
    figure = new_figure(PAGE_WIDTH, 7.0)
    pairs, blocks = figure.subplots(2, 1, height_ratios=(3.7, 3.3))
    _draw_pairs(pairs, counts, classnames)
    size = -(-len(classnames) // _BLOCKS)
    starts = np.arange(0, len(classnames), size)
    sums = np.add.reduceat(np.add.reduceat(counts, starts, axis=0), starts, axis=1)
    _show(blocks, shares_of_rows(sums), "share of the row's images (%)", power=0.5)
    ticks = np.arange(0, len(starts), max(1, len(starts) // 5))
    for set_ticks in (blocks.set_xticks, blocks.set_yticks):
        set_ticks(ticks, [str(starts[tick]) for tick in ticks])
    step = f"{size} classes per cell" if size > 1 else "one class per cell"
    blocks.set(xlabel=f"number of the predicted class ({step})", ylabel="number of the true class")
    return figure


def _draw_pairs(axis: Axes, counts: NDArray[np.int64], classnames: Sequence[str]) -> None:
    """Draw the pairs with the largest share of the true class's images, the more frequent first among equals."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    shares = np.nan_to_num(shares_of_rows(counts))
    true, guess = np.nonzero(wrong)
    if not len(true):
        say_nothing_to_draw(axis, "no class is taken for another")
        return
    order = np.lexsort((guess, true, -wrong[true, guess], -shares[true, guess]))[:MOST_PAIRS]
    true, guess = true[order], guess[order]
    values, places = shares[true, guess], np.arange(len(order))
    axis.barh(places, values, height=0.75, color=COLOURS[0])
    names = [
        f"{shorten(classnames[row])} → {shorten(classnames[col])}"
        for row, col in zip(true.tolist(), guess.tolist(), strict=True)
    ]
    axis.set_yticks(places, names)
    axis.set_ylim(max(len(order) - 0.3, 4.7), -0.7)
    axis.set_xlim(0, max(values) * 1.2)
    for place, row, column in zip(places, true, guess, strict=True):
        axis.annotate(
            f"{counts[row, column]} of {counts[row].sum()}",
            (shares[row, column], place),
            xytext=(2, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=SMALL,
        )
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("share of the true class's images (%)")
    axis.set_title(f"the {len(order)} pairs confused most, true → predicted")
    axis.grid(True, axis="x")


def _show(axis: Axes, shares: NDArray[np.float64], label: str, *, power: float = 1.0) -> None:
    from matplotlib.colors import PowerNorm

    colours = matplotlib.colormaps[CONFUSIONS].with_extremes(bad=MISSING)
    image = axis.imshow(shares, cmap=colours, norm=PowerNorm(power, 0, 100), interpolation="nearest")
    for spine in axis.spines.values():
        spine.set_visible(True)
    figure = axis.figure
    bar = figure.colorbar(image, ax=axis, shrink=0.8, ticks=[0, 25, 50, 75, 100] if power == 1 else [0, 1, 5, 25, 100])
    bar.set_label(label + ("; grey: no images" if np.isnan(shares).any() else ""))
