"""Draw the rooms of this project and the arrows between them, from the imports.

    python -m scripts.architecture --figure docs/images/architecture.png

Rooms stand in floors; an arrow leads to what is imported and may only go down. docs/architecture.md shows the picture,
and a test fails at an arrow that goes up. Needs grimp, which reads imports without running anything.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from amu_raft.command import carry_out

PACKAGES = ("dassl", "amu_raft", "datasets", "trainers", "experiments", "scripts")


class Room(NamedTuple):
    """What stands together.

    Attributes:
        name: What the picture calls it.
        about: What it is for, in a few words.
        modules: Beginnings of its modules' names; a name with a "." at its end stands for that module alone.
    """

    name: str
    about: str
    modules: tuple[str, ...]


# From the ground up. Of several rooms that fit a module the one with the longest name counts.
FLOORS = (
    Room("toolbox", "Dassl: registries, data, training", ("dassl",)),
    Room("library", "amu_raft: installs, sees no configuration", ("amu_raft",)),
    Room("data sets", "benchmarks and own images as Dassl's", ("datasets",)),
    Room("trainers", "methods as Dassl's trainers", ("trainers",)),
    Room("experiments", "runs, sweeps, results", ("experiments",)),
    Room(
        "commands", "train.py, predict.py, scripts", ("scripts", "trainers.import_weights", "trainers.export_weights")
    ),
)
ROOMS = (
    Room("plain", "files, words, errors", ("amu_raft",)),
    Room("downloads", "fetch, check, unpack", ("amu_raft.downloads",)),
    Room("backbones", "CLIP, auxiliary encoders, texts", ("amu_raft.backbones",)),
    Room("images", "own pictures and what ails them", ("amu_raft.images",)),
    Room("features", "encode once, keep", ("amu_raft.features",)),
    Room("methods", "one method, one room", ("amu_raft.methods",)),
    Room("model", "a method with its encoders; its folder", ("amu_raft.model",)),
    Room("prediction", "many pictures", ("amu_raft.prediction",)),
    Room("export", "ONNX", ("amu_raft.export",)),
    Room("serve", "page and REST", ("amu_raft.serve",)),
    Room("fit", "training without a run", ("amu_raft.fit",)),
    Room("front door", "FewShotClassifier, amu-raft", ("amu_raft.", "amu_raft.classifier", "amu_raft.cli")),
)
BESIDE = {"serve": "export", "export": "serve"}  # rooms of one height, which do not know each other


class Arrow(NamedTuple):
    """An import from one room to another, with the modules of one example."""

    source: str
    target: str
    example: str


def place_of(module: str, layout: Sequence[Room]) -> int | None:
    """Return the number of the room that a module is in, from the ground up; None if it is in none."""
    found = [
        (len(name), number)
        for number, room in enumerate(layout)
        for name in room.modules
        if f"{module}." == name or (f"{module}.".startswith(f"{name}.") and not name.endswith("."))
    ]
    return max(found)[1] if found else None


def arrows(layout: Sequence[Room], imports: Mapping[str, Sequence[str]]) -> list[Arrow]:
    """Return every arrow between two rooms once, in order.

    Args:
        layout: Rooms from the ground up, with the beginnings of their modules' names.
        imports: Modules that each module imports.
    """
    found: dict[tuple[int, int], str] = {}
    for module, targets in sorted(imports.items()):
        for target in sorted(targets):
            source, end = place_of(module, layout), place_of(target, layout)
            if source is not None and end is not None and source != end:
                found.setdefault((source, end), f"{module} imports {target}")
    return [Arrow(layout[source].name, layout[end].name, example) for (source, end), example in sorted(found.items())]


def climbing(layout: Sequence[Room], imports: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the arrows that go up, or between rooms that stand beside each other, as one line each."""
    height = {room.name: number for number, room in enumerate(layout)}
    return [
        f"{arrow.source} -> {arrow.target}: {arrow.example}"
        for arrow in arrows(layout, imports)
        if height[arrow.source] < height[arrow.target] or BESIDE.get(arrow.source) == arrow.target
    ]


def read_imports() -> dict[str, list[str]]:
    """Return the modules of this project that each of its modules imports, wherever in the file it does.

    Raises:
        ImportError: If grimp is not installed.
    """
    import grimp

    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    own = {module for module in graph.modules if module.split(".")[0] in PACKAGES}
    return {module: sorted(graph.find_modules_directly_imported_by(module)) for module in own}


def needed(layout: Sequence[Room], imports: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the arrows that no way over other rooms stands for, as (source, target); one that goes up is kept."""
    height = {room.name: number for number, room in enumerate(layout)}
    every = {(arrow.source, arrow.target) for arrow in arrows(layout, imports)}
    below: dict[str, set[str]] = {room.name: set() for room in layout}
    kept = []
    for room in layout:
        targets = sorted((end for start, end in every if start == room.name), key=lambda name: -height[name])
        for target in targets:
            if target not in below[room.name]:
                kept.append((room.name, target))
            below[room.name] |= {target} | below[target]
    return kept


def draw(imports: Mapping[str, Sequence[str]]) -> Any:
    """Return the figure: the floors of the house, the library's rooms, and the arrows that ``needed`` leaves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_rooms(left, FLOORS, imports, "the house")
    _draw_rooms(right, ROOMS, imports, "the library, amu_raft")
    return figure


def _draw_rooms(axes: Any, layout: Sequence[Room], imports: Mapping[str, Sequence[str]], title: str) -> None:
    from matplotlib.patches import Rectangle

    height = {room.name: number for number, room in enumerate(layout)}
    half, tall = 1.3, 0.3  # half of a box's width and height
    for room in layout:
        number = height[room.name]
        axes.add_patch(Rectangle((-half, number - tall), 2 * half, 2 * tall, fc="0.96", ec="0.2", zorder=3))
        axes.text(0, number, f"{room.name}\n{room.about}", ha="center", va="center", fontsize=8, zorder=4)
    for order, (source, target) in enumerate(needed(layout, imports)):
        start, end = height[source], height[target]
        style = {"arrowstyle": "-|>", "color": "0.3" if end < start else "tab:red", "shrinkA": 0, "shrinkB": 0}
        if start - end == 1:
            ends = (0.0, start - tall), (0.0, end + tall)
        else:  # past other rooms, on the two sides in turn
            side = 1 if order % 2 else -1
            ends = (side * half, start - 0.1), (side * half, end + 0.1)
            style["connectionstyle"] = f"arc3,rad={-0.3 * side}"
        axes.annotate("", ends[1], ends[0], arrowprops=style)
    axes.set(xlim=(-2.1, 2.1), ylim=(-0.5, len(layout) - 0.5))
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, list the arrows, and return 1 if one goes up."""
    parser = argparse.ArgumentParser(prog="python -m scripts.architecture", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--figure", type=Path, metavar="FILE", help="where the picture goes: .png, .svg or .pdf")
    return carry_out(partial(_architecture, parser.parse_args(argv)))


def _architecture(arguments: argparse.Namespace) -> int:
    from experiments.results.figures.output import check_format, save_figure

    if arguments.figure:
        check_format(arguments.figure)
    imports = read_imports()
    for layout in (FLOORS, ROOMS):
        for arrow in arrows(layout, imports):
            print(f"{arrow.source} -> {arrow.target}")
    wrong = [*climbing(FLOORS, imports), *climbing(ROOMS, imports)]
    for line in wrong:
        print(f"goes up: {line}", file=sys.stderr)
    if arguments.figure:
        save_figure(draw(imports), arguments.figure)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
