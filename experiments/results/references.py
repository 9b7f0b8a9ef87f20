"""Published figures beside ours: of the same method, backbone, data set, shots and kind of protocol, or not at all."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.results.averages import OF_ELEVEN, Average
from experiments.results.cells import DAGGER, Cell, shown_dataset, shown_trainer
from experiments.results.reference_file import References
from experiments.results.run_folders import Label, Run
from experiments.results.statistics import Summary
from experiments.results.table import Section, percent, with_spread

SHOTS = "{shots}"  # filled in once per row
DEFAULT_REFERENCES = Path(__file__).resolve().parents[2] / "docs" / "reference_numbers.json"


@dataclass(frozen=True)
class Compared:
    """One of our means beside one published figure.

    Attributes:
        label: Of our cell or average.
        variant: Of our cell.
        ours: Our mean accuracy in percent, with its spread and number of seeds.
        oracle: Whether test labels chose anything in ours.
        name: The published method.
        published: Its accuracy in percent.
        selected_on: On which images it chose: "test", "validation", "none" or "not stated".
        difference: Ours minus published; None across protocols.
        source: Where it was published, and how exactly it is known.
    """

    label: Label
    variant: str
    ours: float
    spread: float | None
    count: int
    oracle: bool
    name: str
    published: float
    selected_on: str
    difference: float | None
    source: str


def compare(
    cells: Sequence[Cell], means: Sequence[Average], references: References, spread: str = "std"
) -> tuple[list[Compared], list[str]]:
    """Put published accuracies beside ours, and say which of ours have no counterpart and why."""
    found: list[Compared] = []
    alone: dict[str, list[int]] = defaultdict(list)
    items: list[Cell | Average] = [*cells, *(mean for mean in means if mean.of_eleven)]
    for item in items:
        label, summary, runs = item.label, *_ours(item)
        if summary.mean is None:
            continue
        figures = _counterparts(label, references)
        if figures is None or item.variant.startswith("split="):
            alone[_why_none(label, item.variant, references)].append(label.shots)
            continue
        for name, value, selected_on, source in figures:
            comparable = _comparable(runs, selected_on)
            found.append(
                Compared(
                    label=label,
                    variant=item.variant,
                    ours=summary.mean,
                    spread=summary.spread(spread),
                    count=summary.count,
                    oracle=item.oracle,
                    name=name,
                    published=value,
                    selected_on=selected_on,
                    difference=summary.mean - value if comparable else None,
                    source=source,
                )
            )
    return found, [why.replace(SHOTS, ", ".join(map(str, shots))) for why, shots in alone.items()]


def _ours(item: Cell | Average) -> tuple[Summary, tuple[Run, ...]]:
    if isinstance(item, Cell):
        return item.summary("accuracy"), item.runs
    return item.summary, tuple(run for cell in item.cells for run in cell.runs)


def _counterparts(label: Label, references: References) -> list[tuple[str, float, str, str]] | None:
    """Return (name, accuracy, selected_on, source) of the same method, equal figures once; None without any."""
    merged: dict[tuple[str, float], tuple[str, str]] = {}
    for figure in references.figures:
        same = label.trainer in figure.trainers and label.backbone == figure.backbone and label.subset == "all"
        if not same or figure.trained_on != label.trained_on:
            continue
        average = label.dataset == OF_ELEVEN
        values = figure.average_11 if average else figure.accuracy.get(label.dataset, {})
        if label.shots in values:
            quality = figure.average_quality if average and figure.average_quality else figure.quality
            key = figure.name, values[label.shots]
            sources = [merged[key][1]] if key in merged else []
            merged[key] = figure.selected_on, "; ".join([*sources, f"{figure.source} ({quality})"])
    return [(name, value, *rest) for (name, value), rest in merged.items()] or None


def _comparable(runs: Sequence[Run], selected_on: str) -> bool:
    """Tell whether ours chose on test images exactly if the published figure did, as far as both say."""
    ours = {run.protocol.get("selected_on") for run in runs} if all(run.protocol for run in runs) else {"not stated"}
    oracle = {run.oracle or run.protocol.get("selected_on") == "test" for run in runs}
    if "not stated" in (selected_on, *ours) or len(oracle) != 1:
        return False
    return (selected_on == "test") == next(iter(oracle))


def _why_none(label: Label, variant: str, references: References) -> str:
    if label.trainer in references.unpublished:
        return f"{label.trainer}: nothing is published ({references.unpublished[label.trainer]})"
    if not any(label.trainer in figure.trainers for figure in references.figures):
        return f"{label.trainer}: no published figures here under this name"
    who = f"{label.trainer} {label.config}"
    if not label.backbone:
        return f"{who}: its backbone is not known"
    if not any(label.trainer in f.trainers and f.backbone == label.backbone for f in references.figures):
        return f"{who}: nothing is published for backbone {label.backbone}"
    where = f"{shown_dataset(label)} at {SHOTS} shots" + (f" [{variant}]" if variant else "")
    return f"{who}: no published figure for {where} and backbone {label.backbone}"


def comparison_section(cells: Sequence[Cell], means: Sequence[Average], references: References, spread: str) -> Section:
    """Return the table of published figures beside ours."""
    compared, alone = compare(cells, means, references, spread)
    headers = [
        "data set",
        "trainer",
        "config",
        "backbone",
        "shots",
        "ours",
        "published",
        "difference",
        "method, source",
    ]
    notes = [
        "difference: ours minus published, percentage points, only where both chose on test images or neither did",
        f"{DAGGER} chosen on test images; ‡ not stated on which images it was chosen. Published spreads are not known",
    ]
    notes += [f"without a published counterpart: {line}" for line in alone]
    numbers = {source: number for number, source in enumerate(dict.fromkeys(item.source for item in compared), 1)}
    notes += [f"[{number}] {source}" for source, number in numbers.items()]
    rows = [_row(item, numbers[item.source]) for item in compared]
    title = "Beside published figures"
    return Section("comparison", title, headers, rows, notes, [_entry(item, spread) for item in compared])


def _row(item: Compared, source: int) -> list[str]:
    label = item.label
    mark = {"test": DAGGER, "not stated": "‡"}.get(item.selected_on, "")
    trainer = shown_trainer(label.trainer, item.variant, oracle=item.oracle)
    ours = with_spread(item.ours, item.spread, item.count or None)
    row = [shown_dataset(label), trainer, label.config, label.backbone, str(label.shots), ours]
    return [*row, percent(item.published) + mark, percent(item.difference, signed=True), f"{item.name} [{source}]"]


def _entry(item: Compared, spread: str) -> dict[str, Any]:
    return {
        **item.label._asdict(),
        "variant": item.variant,
        "accuracy": item.ours,
        f"accuracy_{spread}": item.spread,
        "seeds_finished": item.count,
        "oracle": item.oracle,
        "published_method": item.name,
        "published_accuracy": item.published,
        "published_selected_on": item.selected_on,
        "published_oracle": item.selected_on == "test",
        "difference": item.difference,
        "source": item.source,
    }
