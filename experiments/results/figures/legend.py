"""A legend under the panels that takes as many rows as it needs, for which the figure grows."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from experiments.results.figures.names import shorten_distinctly
from experiments.results.figures.style import SMALL

_CHARACTER = 0.055  # inches, of a usual one in a legend
_MARGIN = 0.1  # inches, left free beside and above it
_SHORTEST = 12  # characters; labels are cut no further


def add_legend_below(figure: Figure, handles: Sequence[Line2D], notes: Sequence[str] = ()) -> None:
    """Put a legend under all panels and make the figure higher by it; labels that no row has room for are shortened.

    Args:
        figure: With its panels; its height is theirs.
        handles: What stands for each entry, labelled. None at all: no legend.
        notes: What is said above the entries.
    """
    if not handles:
        return
    names = [str(handle.get_label()) for handle in handles]
    length = max(_SHORTEST, int((figure.get_figwidth() - 0.5) / _CHARACTER))
    legend = _widest(figure, handles, shorten_distinctly(names, length), notes)
    while _size(legend)[0] > figure.get_figwidth() - _MARGIN and length > _SHORTEST:
        length = max(_SHORTEST, length * 9 // 10)
        legend.remove()
        legend = _widest(figure, handles, shorten_distinctly(names, length), notes)
    figure.set_figheight(figure.get_figheight() + _size(legend)[1] + _MARGIN)


def _widest(figure: Figure, handles: Sequence[Line2D], labels: dict[str, str], notes: Sequence[str]) -> Legend:
    """Return the legend of most columns that the figure is wide enough for, or that of one column."""
    texts = [labels[str(handle.get_label())] for handle in handles]
    most = int(figure.get_figwidth() / (_CHARACTER * min(map(len, texts)) + 0.4))
    columns = max(1, min(len(handles), most))
    while True:
        legend = figure.legend(handles, texts, loc="outside lower center", ncols=columns)
        if notes:
            legend.set_title("; ".join(notes))
            legend.get_title().set_fontsize(SMALL)
            if _size(legend)[0] > figure.get_figwidth() - _MARGIN:
                legend.get_title().set_text("\n".join(notes))
        if columns == 1 or _size(legend)[0] <= figure.get_figwidth() - _MARGIN:
            return legend
        legend.remove()
        columns -= 1


def _size(legend: Legend) -> tuple[float, float]:
    """Return width and height in inches."""
    box = legend.get_window_extent()
    dpi = legend.figure.dpi  # type: ignore[union-attr]
    return box.width / dpi, box.height / dpi
