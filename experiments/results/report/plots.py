"""The plots of the page: scores over shots, then what single runs did on each data set."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from experiments.results.cells import Cell, shown_dataset, shown_trainer
from experiments.results.labels import ZERO_SHOT_TRAINER
from experiments.results.predictions import Predictions, read_own_predictions
from experiments.results.report.chosen_runs import most_shots
from experiments.results.report.host_paths import HostPaths
from experiments.results.report.page_size import PageSize
from experiments.results.rows import SPREADS
from experiments.results.run_folders import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Found = Sequence[tuple[Cell, Run, Predictions]]
# Beyond this an SVG with its thousands of marks is larger, and slower to show, than its picture.
_LARGEST_SVG = 400_000
_PICTURE_DPI = 130
_PIXELS_PER_INCH = 120  # figures are made for print, and read on screens from further away


@dataclass(frozen=True)
class Plot:
    """A figure of the page; ``source`` is a data URI, empty where there is only the note why it is missing.

    ``width`` is in CSS pixels, so that letters have one size in figures of every width.
    """

    caption: str
    alt: str
    source: str = ""
    width: int = 0
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class PlotGroup:
    """Plots under one heading; each kind begins a row."""

    name: str
    rows: tuple[tuple[Plot, ...], ...]


class Plotter:
    """Draw figures until the page is full; a figure that cannot be drawn leaves a note in its place.

    Args:
        size: Room in the page.
        paths: Cuts the machine's paths out of messages.
    """

    def __init__(self, size: PageSize, paths: HostPaths) -> None:
        self.size = size
        self.paths = paths

    def draw(self, caption: str, alt: str, figure: "Callable[[], Figure]", *, wide: bool = False) -> Plot:
        """Return a plot, as SVG or, if that is too large, as PNG."""
        from experiments.results.figures.output import data_uri

        try:
            drawn = figure()
            source = data_uri(drawn, "svg")
            if len(source) > _LARGEST_SVG:
                source = data_uri(drawn, "png", dpi=_PICTURE_DPI)
        except (OSError, ValueError, TypeError, LookupError) as error:
            return Plot(caption, alt, note=f"not drawn: {self.paths.cut(str(error))}", wide=wide)
        if not self.size.take(len(source), f"plot: {caption}"):
            return Plot(caption, alt, note="left out, the page is full", wide=wide)
        return Plot(caption, alt, source, round(drawn.get_figwidth() * _PIXELS_PER_INCH), wide=wide)


def accuracy_plots(cells: Sequence[Cell], keyword: str, spread: str, plotter: Plotter) -> list[PlotGroup]:
    """Return the score over shots on every data set, if any run has finished."""
    if not any(cell.runs for cell in cells):
        return []
    from experiments.results.figures.accuracy import accuracy_figure
    from experiments.results.plot import accuracy_panels

    score = keyword.replace("_", "-")
    name = SPREADS[spread]

    def figure() -> "Figure":
        panels = accuracy_panels(cells, keyword, spread=spread)
        return accuracy_figure(panels, spread_name=name, score=f"{score} (%)")

    datasets = ", ".join(dict.fromkeys(shown_dataset(cell.label) for cell in cells))
    caption = f"{score.capitalize()} over training images per class. Bars: {name} over seeds."
    alt = f"Line plots of {score} over shots on {datasets}; the first table has the figures"
    return [PlotGroup("Over shots", ((plotter.draw(caption, alt, figure, wide=True),),))]


def plots_of_data_sets(cells: Sequence[Cell], plotter: Plotter) -> list[PlotGroup]:
    """Return a group per data set: calibration, gains and confusions of each trainer's run with the most shots."""
    groups: dict[tuple[str, str], list[tuple[Cell, Run]]] = defaultdict(list)
    for cell, run in most_shots(cells):
        groups[shown_dataset(cell.label), cell.label.backbone].append((cell, run))
    several = len({backbone for _, backbone in groups}) > 1
    drawn = []
    for (dataset, backbone), members in groups.items():
        name = f"{dataset}, {backbone}" if several and backbone else dataset
        found, unread = _with_predictions(members, plotter.paths)
        rows = (
            unread,
            _reliability(name, found, plotter),
            _gains(name, found, plotter),
            _confusions(name, found, plotter),
            _responses(name, members, plotter),
        )
        if any(rows):
            drawn.append(PlotGroup(name, tuple(row for row in rows if row)))
    return drawn


def run_title(cell: Cell, run: Run) -> str:
    """Name a run in captions: trainer, config, shots and seed."""
    number = cell.label.shots
    shots = f"{number} shot{'s' * (number != 1)}" if number >= 0 else "shots not known"
    return f"{_method(cell)}, {shots}, " + (f"seed {run.seed}" if run.seed is not None else run.folder.name)


def _method(cell: Cell) -> str:
    return f"{shown_trainer(cell.label.trainer, cell.variant, oracle=cell.oracle)} ({cell.label.config})"


def _with_predictions(members: Sequence[tuple[Cell, Run]], paths: HostPaths) -> tuple[Found, tuple[Plot, ...]]:
    """Return the runs whose predictions can be shown, and notes about those that have some that cannot."""
    found, unread = [], []
    for cell, run in members:
        try:
            found.append((cell, run, read_own_predictions(run.folder, run.result)))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            caption = f"{run_title(cell, run)}: plots of its predictions"
            unread.append(Plot(caption, caption, note=f"not drawn: {paths.cut(str(error))}"))
    return found, tuple(unread)


def _reliability(name: str, runs: Found, plotter: Plotter) -> tuple[Plot, ...]:
    from experiments.results.figures.reliability import reliability_figure

    methods: dict[str, tuple[Any, Any]] = {}
    for _, _, made in runs:
        if not methods and made.zero_shot_top5 is not None and made.zero_shot_probabilities is not None:
            right = made.zero_shot_top5[:, 0] == made.labels
            methods["zero-shot"] = (made.zero_shot_probabilities[:, 0], right)
    trainers = Counter(cell.label.trainer for cell, _, _ in runs)
    titles = []
    for cell, run, made in runs:
        if "zero-shot" in methods and cell.label.trainer == ZERO_SHOT_TRAINER:
            continue  # the same panel again
        short = cell.label.trainer if trainers[cell.label.trainer] == 1 else _method(cell)
        methods[short] = (made.confidence, made.correct)
        titles.append(run_title(cell, run))
    if not methods:
        return ()
    caption = f"How often answers of a given confidence are right: {'; '.join(titles) or 'zero-shot'}. "
    caption += "ECE: expected calibration error."
    alt = f"Reliability diagrams on {name}, a panel each for {', '.join(methods)}"
    return (plotter.draw(caption, alt, lambda: reliability_figure(methods), wide=True),)


def _gains(name: str, runs: Found, plotter: Plotter) -> tuple[Plot, ...]:
    from experiments.results.figures.class_gains import class_gains_figure

    plots = []
    for cell, run, made in runs:
        zero_shot = made.zero_shot_top5
        if zero_shot is None or cell.label.trainer == ZERO_SHOT_TRAINER:
            continue
        caption = f"{run_title(cell, run)}: accuracy gained over zero-shot, class by class"
        draw = partial(class_gains_figure, made.labels, made.predicted, zero_shot[:, 0], made.classnames)
        method = cell.label.trainer
        plots.append(plotter.draw(caption, f"Bars on {name}: {caption}", partial(draw, method=method)))
    return tuple(plots)


def _confusions(name: str, runs: Found, plotter: Plotter) -> tuple[Plot, ...]:
    from experiments.results.figures.confusion import confusion_figure

    plots = []
    for cell, run, made in runs:
        caption = f"{run_title(cell, run)}: what was taken for what"
        draw = partial(confusion_figure, made.labels, made.predicted, made.classnames)
        plots.append(plotter.draw(caption, f"Confusion matrix on {name}: {caption}", draw))
    return tuple(plots)


def _responses(name: str, members: Sequence[tuple[Cell, Run]], plotter: Plotter) -> tuple[Plot, ...]:
    from experiments.results.figures.response import response_figure

    plots = []
    for cell, run in members:
        if tuning := run.result.get("tuning"):
            caption = f"{run_title(cell, run)}: accuracy on the images that settings were tuned on"
            plots.append(plotter.draw(caption, f"Response on {name}: {caption}", partial(response_figure, tuning)))
    return tuple(plots)
