"""Which classes gain over zero-shot CLIP and which lose: one bar per class, sorted."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from experiments.results.figures.labels import check_labels
from experiments.results.figures.style import (
    COLOURS,
    PAGE_WIDTH,
    SMALL,
    new_figure,
    say_nothing_to_draw,
    shorten,
    styled,
)

GAIN, LOSS = COLOURS[0], COLOURS[1]
_BAR = 0.145  # inches: a line of the smallest type
_WIDTH = 0.7 * PAGE_WIDTH


def class_accuracy(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> NDArray[np.float64]:
    """Return the accuracy within each class in percent, (C,), NaN for a class without images.

    Args:
        labels: (N,), integers below C.
        predicted: (N,).
        num_classes: C.

    Raises:
        ValueError: If the shapes differ or a label is out of range.
    """
    truth, guess = check_labels(labels, predicted, num_classes)
    count = np.bincount(truth, minlength=num_classes)
    right = np.bincount(truth[truth == guess], minlength=num_classes)
    with np.errstate(invalid="ignore"):
        accuracy: NDArray[np.float64] = 100 * right / count
    return accuracy


@styled
def class_gains_figure(
    labels: ArrayLike,
    predicted: ArrayLike,
    zero_shot: ArrayLike,
    classnames: Sequence[str],
    *,
    method: str = "adapted",
    most: int = 20,
) -> Figure:
    """Draw each class's accuracy minus that of zero-shot CLIP.

    Args:
        labels: (N,), integers below C.
        predicted: Predicted classes, (N,).
        zero_shot: Zero-shot CLIP's, (N,).
        classnames: C names.
        method: What the title calls the predictions.
        most: Bars at either end; with more than twice as many classes those between are left out, and counted.

    Raises:
        ValueError: If the shapes differ, or a label or prediction is out of range.
    """
    after, before = (class_accuracy(labels, guesses, len(classnames)) for guesses in (predicted, zero_shot))
    gains = after - before
    known = np.flatnonzero(np.isfinite(gains))
    if not len(known):
        figure = new_figure(_WIDTH, 1.5)
        say_nothing_to_draw(figure.subplots(), "no evaluated images, so no gains per class")
        return figure
    order = known[np.argsort(-gains[known], kind="stable")]
    hidden = max(0, len(order) - 2 * most)
    shown = order if not hidden else np.concatenate([order[:most], order[-most:]])
    gap = hidden > 0
    places = np.arange(len(shown)) + 1.5 * gap * (np.arange(len(shown)) >= most)
    figure = new_figure(_WIDTH, max(1.6, _BAR * (len(shown) + 1.5 * gap) + 0.8))
    axis = figure.subplots()
    values = gains[shown]
    axis.barh(places, values, height=0.75, color=np.where(values >= 0, GAIN, LOSS))
    axis.set_yticks(places, [shorten(classnames[number]) for number in shown])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(places[-1] + 0.7, -0.7)
    axis.axvline(0, color="black", linewidth=0.8)
    _write_values(axis, places, values)
    if gap:
        axis.text(
            0.5,
            most + 0.25,
            f"… {hidden} more classes between these …",
            ha="center",
            va="center",
            color="0.35",
            transform=axis.get_yaxis_transform(),
        )
    axis.grid(True, axis="x")
    axis.set_xlabel("gain over zero-shot in accuracy within the class (points)")
    up, down = int((gains[known] > 0).sum()), int((gains[known] < 0).sum())
    same, absent = len(known) - up - down, len(classnames) - len(known)
    without = f", {absent} without images" if absent else ""
    axis.set_title(f"{method}: {up} of {len(classnames)} classes gain, {down} lose, {same} stay{without}")
    return figure


def _write_values(axis: Axes, places: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Write each gain at the end of its bar, with room for it inside the panel."""
    reach = max(1.0, float(np.abs(values).max()))
    left, right = min(0.0, float(values.min())), max(0.0, float(values.max()))
    axis.set_xlim(left - 0.16 * reach * (left < 0) - 0.02 * reach, right + 0.16 * reach * (right > 0) + 0.08 * reach)
    for place, value in zip(places, values, strict=True):
        axis.annotate(
            f"{value:+.1f}".replace("-", "\N{MINUS SIGN}") if value else "0",
            (value, place),
            xytext=(2 if value >= 0 else -2, 0),
            textcoords="offset points",
            ha="left" if value >= 0 else "right",
            va="center_baseline",
            fontsize=SMALL,
        )
