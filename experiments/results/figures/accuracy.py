"""Accuracy over shots: a panel per data set, their average first, in the order of the field's papers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.results.averages import ELEVEN
from experiments.results.cells import DAGGER
from experiments.results.figures.legend import add_legend_below
from experiments.results.figures.names import shorten_distinctly
from experiments.results.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    Style,
    new_figure,
    say_nothing_to_draw,
    style_of,
    styled,
)

AVERAGE = "average"
ZERO_SHOT = "zero-shot"
# The eleven data sets of the field as its papers call them, in their order.
TITLES = dict(
    zip(
        ELEVEN,
        (
            "ImageNet",
            "Caltech101",
            "OxfordPets",
            "StanfordCars",
            "Flowers102",
            "Food101",
            "FGVCAircraft",
            "SUN397",
            "DTD",
            "EuroSAT",
            "UCF101",
        ),
        strict=True,
    )
)
_TITLE_LENGTH = 24  # characters that a narrow panel has room for
_LEVELS = ("0.15", "0.5", "0.3", "0.65")  # greys of zero-shot, where several backbones have one each


@dataclass(frozen=True)
class Curve:
    """One method on one data set.

    Attributes:
        name: What the legend calls it.
        shots: Training images per class, 0 or more.
        accuracy: In percent, one for each; NaN or None where there is none.
        spread: Half-widths of the error bars in points, None where there is none.
        oracle: Whether test labels chose anything; marked by a dagger.
        published: Whether the figures are the literature's, not ours; drawn dotted in grey.
    """

    name: str
    shots: Sequence[int]
    accuracy: Sequence[float | None]
    spread: Sequence[float | None] | None = None
    oracle: bool = False
    published: bool = False

    @property
    def legend(self) -> str:
        """The name with what must be known about the figures."""
        return self.name + DAGGER * self.oracle + " (published)" * self.published

    def points(self) -> list[tuple[int, float, float]]:
        """Return shots, accuracy and spread (NaN: none) of the points that there are, by shots.

        Raises:
            ValueError: If the lists differ in length or a number of shots is negative.
        """
        spread = self.spread if self.spread is not None else [None] * len(self.shots)
        if not len(self.shots) == len(self.accuracy) == len(spread):
            raise ValueError(
                f"curve {self.name!r} has {len(self.shots)} shots, {len(self.accuracy)} accuracies and "
                f"{len(spread)} spreads; one of each is wanted"
            )
        if any(shots < 0 for shots in self.shots):
            raise ValueError(f"curve {self.name!r} has {min(self.shots)} shots; 0 or more are wanted")
        rows = [(s, a, math.nan if w is None else w) for s, a, w in zip(self.shots, self.accuracy, spread, strict=True)]
        return sorted((s, a, w) for s, a, w in rows if a is not None and math.isfinite(a))


@dataclass(frozen=True)
class Panel:
    """The curves of one data set; ``zero_shot`` in percent, one number or several by what the legend calls them."""

    dataset: str
    curves: Sequence[Curve]
    zero_shot: float | Mapping[str, float] | None = None

    def shows_anything(self) -> bool:
        """Whether there is a point or a zero-shot level."""
        return bool(self.levels()) or any(curve.points() for curve in self.curves)

    def levels(self) -> dict[str, float]:
        """Return the zero-shot levels that there are, by name."""
        given = self.zero_shot if isinstance(self.zero_shot, Mapping) else {ZERO_SHOT: self.zero_shot}
        return {name: value for name, value in given.items() if value is not None and math.isfinite(value)}


@styled
def accuracy_figure(
    panels: Sequence[Panel],
    *,
    spread_name: str = "standard deviation",
    score: str = "accuracy (%)",
) -> Figure:
    """Draw scores over shots; the eleven data sets of the field become its usual grid of 3 x 4 panels.

    Args:
        panels: One per data set; one called "average" is drawn first and says which data sets it is over, unless these
            are the field's eleven.
        spread_name: What the error bars are, for the note below; unused if there are none.
        score: Label of the vertical axes, with its unit.

    Raises:
        ValueError: If a curve's lists do not fit together.
    """
    panels = _in_order(panels)
    if not panels:
        figure = new_figure(COLUMN_WIDTH, 2.0)
        say_nothing_to_draw(figure.subplots(), "no runs to draw")
        return figure
    columns = min(len(panels), 4) if len(panels) != 5 and len(panels) != 6 else 3
    rows = -(-len(panels) // columns)
    width = COLUMN_WIDTH if columns == 1 else PAGE_WIDTH * (0.75 if columns == 2 else 1.0)
    height = 2.5 if columns == 1 else 1.75 if columns == 4 else 2.2
    figure = new_figure(width, rows * height + 0.1)
    axes = figure.subplots(rows, columns, squeeze=False)
    names = dict.fromkeys(
        curve.legend
        for published in (False, True)
        for panel in panels
        for curve in panel.curves
        if curve.published == published and curve.points()
    )
    titles = _titles([panel.dataset for panel in panels])
    styles = {name: style_of(number) for number, name in enumerate(names)}
    levels = {name: number for number, name in enumerate(dict.fromkeys(n for panel in panels for n in panel.levels()))}
    for number, axis in enumerate(axes.flat):
        if number >= len(panels):
            axis.set_visible(False)
            continue
        _draw_panel(axis, panels[number], titles[panels[number].dataset], styles, levels)
        if number % columns == 0:
            axis.set_ylabel(score)
        if number + columns >= len(panels):
            axis.set_xlabel("training images per class")
    _add_legend(figure, panels, styles, levels, spread_name)
    return figure


def _in_order(panels: Sequence[Panel]) -> list[Panel]:
    """Sort panels: the average, the eleven as the papers have them, the others by name."""
    order = {name: number for number, name in enumerate([AVERAGE, *TITLES])}
    return sorted(panels, key=lambda panel: (order.get(panel.dataset, len(order)), panel.dataset))


def _titles(datasets: Sequence[str]) -> dict[str, str]:
    """Return the title of every panel; an average says what it is over where that is not the papers' eleven."""
    titles = {name: TITLES.get(name, short) for name, short in shorten_distinctly(datasets, _TITLE_LENGTH).items()}
    others = set(datasets) - {AVERAGE}
    if AVERAGE in titles and others != set(TITLES):
        titles[AVERAGE] = f"average of {len(others)} data set{'s' * (len(others) != 1)}\n(not the papers' eleven)"
    return titles


def _draw_panel(axis: Axes, panel: Panel, title: str, styles: Mapping[str, Style], levels: Mapping[str, int]) -> None:
    axis.set_title(title)
    drawn = [(curve, curve.points()) for curve in panel.curves]
    present = panel.levels()
    if not panel.shows_anything():
        reason = "no number of shots\nis complete in all\ndata sets" if panel.dataset == AVERAGE else "no finished run"
        say_nothing_to_draw(axis, reason)
        return
    # log2 from 1 shot on, and 0 shots one step to the left of it
    axis.set_xscale("symlog", base=2, linthresh=1, linscale=0.5)
    for name, value in present.items():
        colour = _LEVELS[levels[name] % len(_LEVELS)]
        axis.axhline(value, color=colour, linestyle=(0, (2, 2)), linewidth=0.9, zorder=1)
        axis.plot([0], [value], marker="*", markersize=8, color=colour, clip_on=False, zorder=4)
    for curve, points in drawn:
        if points:
            shots, accuracy, spread = zip(*points, strict=True)
            axis.errorbar(shots, accuracy, spread, elinewidth=0.8, **_appearance(curve, styles))
    ticks = sorted({0} | {shots for _, points in drawn for shots, _, _ in points})
    axis.set_xticks(ticks, [str(shots) for shots in ticks])
    axis.minorticks_off()
    axis.set_xlim(-0.35, max(ticks[-1], 1) * 1.25)
    axis.margins(y=0.08)
    axis.grid(True)


def _appearance(curve: Curve, styles: Mapping[str, Style]) -> dict[str, Any]:
    style = styles[curve.legend]
    if curve.published:
        return {"color": "0.45", "marker": style.marker, "linestyle": ":", "markerfacecolor": "white", "linewidth": 1.0}
    return style._asdict()


def _add_legend(
    figure: Figure, panels: Sequence[Panel], styles: Mapping[str, Style], levels: Mapping[str, int], spread_name: str
) -> None:
    curves = {curve.legend: curve for panel in panels for curve in panel.curves if curve.points()}
    handles = [Line2D([], [], label=name, **_appearance(curves[name], styles)) for name in styles]
    handles += [
        Line2D([], [], label=name, color=_LEVELS[number % len(_LEVELS)], marker="*", linestyle=(0, (2, 2)))
        for name, number in levels.items()
    ]
    notes = []
    if any(math.isfinite(spread) for panel in panels for curve in panel.curves for *_, spread in curve.points()):
        notes.append(f"bars: {spread_name}")
    if any(curve.oracle for curve in curves.values()):
        notes.append(f"{DAGGER} chosen with the help of test labels")
    add_legend_below(figure, handles, notes)
