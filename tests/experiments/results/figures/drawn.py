"""What a figure shows, for tests that cannot look at it."""

import warnings
from itertools import combinations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from experiments.results.figures.output import render

SMALLEST = 7.0  # points


def texts(figure: Figure) -> list[str]:
    """Return every text of a figure that is not empty."""
    return [text.get_text() for text in _texts(figure) if text.get_visible() and text.get_text()]


def visible(figure: Figure) -> list[Axes]:
    """Return the panels that are shown."""
    return [axes for axes in figure.axes if axes.get_visible()]


def grid_of(figure: Figure) -> tuple[int, int]:
    """Return the rows and columns of panels."""
    grid = figure.axes[0].get_gridspec()
    assert grid is not None
    return grid.nrows, grid.ncols


def points(figure: Figure, marker: str) -> list[tuple[int, float, float]]:
    """Return what stands alone with a marker: number of the panel, x and y."""
    found = []
    for number, axes in enumerate(visible(figure)):
        for line in axes.get_lines():
            x, y = (np.asarray(values, dtype=float) for values in line.get_data())
            if line.get_marker() == marker and len(x) == 1:
                found.append((number, float(x[0]), float(y[0])))
    return found


def check_print(figure: Figure) -> None:
    """Draw a figure; check that texts are large enough, stay inside and apart; no warning is given, no state stays."""
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as panels that no room is left for
        render(figure, "png", dpi=72)
    assert dict(matplotlib.rcParams) == before
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _check_texts(figure)
        titles = {axes.get_title(): axes.title.get_window_extent() for axes in visible(figure) if axes.get_title()}
        _check_apart(titles)
        for axes in visible(figure):
            for axis in (axes.xaxis, axes.yaxis):
                _check_apart({str(tick): box for tick, box in _tick_labels(axis).items()})


def _check_texts(figure: Figure) -> None:
    hidden = {text for axes in figure.axes if not axes.get_visible() for text in axes.findobj(Text)}
    for axes in visible(figure):
        for axis in (axes.xaxis, axes.yaxis):
            hidden |= {tick.label1 for tick in axis.get_major_ticks() if not _inside_limits(axis, tick.get_loc())}
    frame = figure.bbox.padded(3)
    for text in _texts(figure):
        if text in hidden or not text.get_visible() or not text.get_text().strip():
            continue
        assert float(text.get_fontsize()) >= SMALLEST, text
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1, text


def _tick_labels(axis: Axis) -> dict[float, Bbox]:
    """Return the boxes of the labels that an axis shows, by place."""
    ticks = [tick for tick in axis.get_major_ticks() if tick.label1.get_visible() and tick.label1.get_text()]
    return {tick.get_loc(): tick.label1.get_window_extent() for tick in ticks if _inside_limits(axis, tick.get_loc())}


def _inside_limits(axis: Axis, place: float) -> bool:
    low, high = sorted(axis.get_view_interval())
    return bool(low - 1e-9 <= place <= high + 1e-9)


def _check_apart(boxes: dict[str, Bbox]) -> None:
    for (first, one), (second, other) in combinations(boxes.items(), 2):
        overlap = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(overlap) < 1.5, f"{first!r} and {second!r} overlap by {overlap} pixels"


def _texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if isinstance(text, Text)]
