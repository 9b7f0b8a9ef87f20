"""How accuracy answers to the settings that were tuned: a line, a map, or a map for each value of further settings."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.results.figures.style import (
    COLOURS,
    COLUMN_WIDTH,
    MISSING,
    PAGE_WIDTH,
    SEQUENTIAL,
    SMALL,
    new_figure,
    say_nothing_to_draw,
    styled,
)

MOST_SLICES = 12
_MOST_TICKS = 9


@styled
def response_figure(tuning: Mapping[str, Any]) -> Figure:
    """Draw the accuracy over a grid of settings and mark the chosen point.

    Args:
        tuning: "tuning" of a result.json: ``axes`` (lists of values by name), ``accuracy`` in percent (nested lists in
            the order of the axes), ``chosen`` (a value by name), ``on`` ("validation" or "test"), ``method``, ``rule``.
            One axis becomes a line. Of more, the two with the most values span a map, the others give a map for each
            of their combinations; of more than 12 those with the best accuracies are shown.

    Raises:
        ValueError: If the accuracies do not have the shape of the axes.
    """
    axes = {str(name): list(values) for name, values in (tuning.get("axes") or {}).items()}
    accuracy = _table(tuning.get("accuracy"), axes)
    chosen = dict(tuning.get("chosen") or {})
    if not np.isfinite(accuracy).any():
        figure = new_figure(COLUMN_WIDTH, 1.8)
        say_nothing_to_draw(figure.subplots(), "nothing was tuned")
        return figure
    if len(axes) == 1:
        figure = new_figure(COLUMN_WIDTH, 2.4)
        _draw_line(figure.subplots(), *next(iter(axes.items())), accuracy, chosen, _split(tuning))
    else:
        figure = _draw_slices(axes, accuracy, chosen, _split(tuning))
    point = ", ".join(f"{name} {_short(value)}" for name, value in chosen.items())
    figure.suptitle(f"{tuning.get('method', '')}{': chosen ' if point else ''}{point}")
    return figure


def _split(tuning: Mapping[str, Any]) -> str:
    split = str(tuning.get("on", "validation"))
    return f"{split} accuracy (%)" + (" † chosen on test labels" if split == "test" else "")


def _table(given: Any, axes: Mapping[str, Sequence[Any]]) -> NDArray[np.float64]:
    """Return accuracies as an array of the axes' shape, NaN where there is none."""
    shape = tuple(map(len, axes.values()))
    try:
        table = np.array(given if given is not None else [], dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty((0, 0, 0, 0, 0, 0, 0))
    if given is not None and axes and table.shape != shape:
        names = " x ".join(f"{name} ({len(values)})" for name, values in axes.items())
        raise ValueError(f"the accuracies of the tuning do not have the shape of its axes, {names}")
    return table


def _draw_line(
    axis: Axes, name: str, values: list[Any], accuracy: NDArray[np.float64], chosen: Mapping[str, Any], label: str
) -> None:
    numeric = all(_is_number(value) for value in values)
    places = [float(value) for value in values] if numeric else list(range(len(values)))
    marker = "o" if len(values) <= 25 else None
    axis.plot(places, accuracy, color=COLOURS[0], marker=marker, linestyle="-" if numeric else "none")
    if not numeric:
        axis.set_xticks(places, [_short(value) for value in values], rotation=35, ha="right")
    picked = _place(values, chosen.get(name))
    if picked is not None:
        axis.plot(places[picked], accuracy[picked], **_CHOSEN, label="chosen")
        axis.legend()
    axis.margins(y=0.12)
    axis.set(xlabel=name, ylabel=label)
    axis.grid(True)


_CHOSEN: dict[str, Any] = {
    "marker": "*",
    "markersize": 12,
    "color": "white",
    "markeredgecolor": "black",
    "linestyle": "none",
    "zorder": 5,
}


def _draw_slices(
    axes: Mapping[str, list[Any]], accuracy: NDArray[np.float64], chosen: Mapping[str, Any], label: str
) -> Figure:
    """Draw a map over the two longest axes for each combination of values of the others."""
    names = list(axes)
    plane = sorted(sorted(range(len(names)), key=lambda axis: (-len(axes[names[axis]]), axis))[:2])
    others = [axis for axis in range(len(names)) if axis not in plane]
    maps = np.moveaxis(accuracy, others, range(len(others)))
    at = {name: _place(values, chosen.get(name)) for name, values in axes.items()}  # where the chosen point is
    slices = list(product(*(range(len(axes[names[axis]])) for axis in others)))
    here = tuple(at[names[axis]] for axis in others)
    ranked = sorted(slices, key=lambda place: (place != here, -np.nanmax(maps[place], initial=-math.inf)))
    shown = sorted(ranked[:MOST_SLICES])
    figure, panels = _map_panels(len(shown), rows_per_map=maps.shape[-2], title_lines=len(others))
    colours = matplotlib.colormaps[SEQUENTIAL].with_extremes(bad=MISSING)
    limits: dict[str, Any] = {"vmin": float(np.nanmin(accuracy)), "vmax": float(np.nanmax(accuracy))}
    for axis, place in zip(panels, shown, strict=True):
        image = axis.imshow(maps[place], cmap=colours, aspect="auto", origin="lower", interpolation="nearest", **limits)
        fixed = {names[number]: axes[names[number]][index] for number, index in zip(others, place, strict=True)}
        axis.set_title("\n".join(f"{name} {_short(value)}" for name, value in fixed.items()))
        _label_map(axis, *((names[number], axes[names[number]]) for number in plane))
        row, column = (at[names[number]] for number in plane)
        if place == here and row is not None and column is not None:
            axis.plot(column, row, **_CHOSEN)
    bar = figure.colorbar(image, ax=panels, shrink=0.9, pad=0.02)
    bar.set_label(label + ("; grey: none" if np.isnan(accuracy).any() else ""))
    if hidden := len(slices) - len(shown):
        note = f"the {len(shown)} maps with the best accuracies or the chosen point; {hidden} others are not shown"
        figure.supxlabel(note, fontsize=SMALL)
    return figure


def _map_panels(count: int, *, rows_per_map: int, title_lines: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each map; labels are at its left and lower edge only."""
    columns = min(count, 4 if count > 6 else 3)
    rows = -(-count // columns)
    widest = 2.5 if columns == 1 else (PAGE_WIDTH - 1.0) / columns * 0.95
    height = min(widest, 0.4 * rows_per_map + 0.5) + 0.3 + 0.14 * title_lines
    figure = new_figure(COLUMN_WIDTH if columns == 1 else PAGE_WIDTH, rows * height + 0.5)
    panels: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in panels[count:]:
        axis.set_visible(False)
    return figure, panels[:count]


def _label_map(axis: Axes, vertical: tuple[str, list[Any]], horizontal: tuple[str, list[Any]]) -> None:
    for set_ticks, (_, values) in ((axis.set_yticks, vertical), (axis.set_xticks, horizontal)):
        ticks = range(0, len(values), -(-len(values) // _MOST_TICKS))
        set_ticks(list(ticks), [_short(values[tick]) for tick in ticks])
    if any(len(_short(value)) > 4 for value in horizontal[1]):
        axis.tick_params(axis="x", rotation=90)
    axis.set(xlabel=horizontal[0], ylabel=vertical[0])
    axis.label_outer()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(values: Sequence[Any], value: Any) -> int | None:
    """Return where a value stands on its axis, None if it does not."""
    for number, candidate in enumerate(values):
        if candidate == value or (_is_number(value) and _is_number(candidate) and math.isclose(candidate, value)):
            return number
    return None


def _short(value: Any) -> str:
    return f"{value:g}" if _is_number(value) else str(value)
