"""What all figures share: sizes for print, a palette for colour-blind readers, and how an empty panel says why."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

P = ParamSpec("P")
T = TypeVar("T")

COLUMN_WIDTH = 3.4  # inches, of a two-column paper
PAGE_WIDTH = 7.0  # inches, of its text
SMALL = 7.0  # points; nothing is set smaller
NAME_LENGTH = 26  # characters of a class name
# Okabe and Ito's palette without yellow, which is lost on white paper.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX<>"
LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
SEQUENTIAL, OVERLAY, CONFUSIONS = "cividis", "viridis", "Blues"  # lightness rises or falls throughout: readable in grey
MISSING = "0.85"  # grey of what has no value
# Class names may be in any script: what DejaVu lacks is taken from the first of these that is installed.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
_SETTINGS: dict[str, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "figure.titlesize": 9.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.0,
    "errorbar.capsize": 2.0,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called "5 $ or 10 $"
    "axes.unicode_minus": True,
    "savefig.facecolor": "white",
    "figure.facecolor": "white",
    "svg.fonttype": "path",  # looks alike wherever it is opened
    "svg.hashsalt": "amu-raft",  # ids from the content, not from chance
    "pdf.fonttype": 42,
}


class Style(NamedTuple):
    """Colour, marker and line of one method, so that it is told apart in colour and in grey print."""

    color: str
    marker: str
    linestyle: Any


def style_of(number: int) -> Style:
    """Return the style of the n-th method, counted from 0; they repeat after 252."""
    return Style(COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)], LINES[number % len(LINES)])


@contextmanager
def print_settings() -> Iterator[None]:
    """Have matplotlib's settings be these, whatever a user's own are.

    Most are read when a figure is made, some when it is written.
    """
    installed = {font.name for font in fontManager.ttflist}
    fonts = {"font.family": [name for name in _FONTS if name in installed]}
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    with matplotlib.rc_context(cast(Any, {**defaults, **_SETTINGS, **fonts})):
        yield


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Make a function draw under these settings."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with print_settings():
            return draw(*args, **kwargs)

    return wrapped


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches; its panels make room for their labels."""
    return Figure(figsize=(width, height), layout="constrained")


def say_nothing_to_draw(axes: Axes, reason: str) -> None:
    """Leave a panel empty, and write into it why."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=MISSING)
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color="0.3", wrap=True)


def shorten(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name on one line and of limited length; what goes is its middle, for names often differ at the end."""
    name = " ".join(str(name).split())
    if len(name) <= length:
        return name
    head = (length - 1) * 2 // 3
    return f"{name[:head].rstrip()}…{name[head + 1 - length :].lstrip()}"
