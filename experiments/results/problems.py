"""What must be read beside the main table: averages not given, cells without runs, runs that went wrong."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.results.averages import Average
from experiments.results.cells import Cell, Seed, seed_of, shown_dataset, shown_trainer
from experiments.results.run_folders import Label


@dataclass(frozen=True)
class Row:
    """The cells of one data set, trainer, config, backbone and variant, by number of shots."""

    label: Label  # its shots are those of the first cell
    variant: str
    cells: dict[int, Cell]


def rows_of(cells: Sequence[Cell]) -> list[Row]:
    """Put the cells of every row side by side, fewest shots first."""
    rows: dict[Any, dict[int, Cell]] = defaultdict(dict)
    for cell in sorted(cells, key=lambda cell: (cell.label._replace(shots=0), cell.variant, cell.label.shots)):
        rows[cell.label._replace(shots=0), cell.variant][cell.label.shots] = cell
    return [Row(next(iter(row.values())).label, variant, row) for (_, variant), row in rows.items()]


def average_notes(means: Sequence[Average]) -> list[str]:
    """Say which averages are not given and why, and what those that are given mix."""
    notes: dict[tuple[str, str], list[int]] = defaultdict(list)
    for mean in means:
        trainer = shown_trainer(mean.label.trainer, mean.variant, oracle=mean.oracle)
        who = f"{shown_dataset(mean.label)}, {trainer} {mean.label.config}"
        for remark in _average_remarks(mean):
            notes[who, remark].append(mean.label.shots)
    return [f"{who}, {shots_names(shots)}: {remark}" for (who, remark), shots in notes.items()]


def _average_remarks(mean: Average) -> list[str]:
    remarks = []
    if mean.missing:
        remarks.append(f"not given, {len(mean.missing)} missing: {', '.join(mean.missing)}")
    elif not mean.of_eleven:
        names = [cell.label.dataset for cell in mean.cells if cell.runs]
        remarks.append(f"of {len(names)} data sets ({', '.join(names)}), not the papers' eleven")
    if mean.mixed:
        remarks.append(f"the data sets differ in {', '.join(mean.mixed)}")
    return remarks


def empty_notes(rows: Sequence[Row]) -> list[str]:
    """Name the numbers of shots at which a row has no run at all though its trainer was run with shots."""
    wanted: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in rows:
        wanted[row.label.subset, row.label.trained_on] |= {shots for shots in row.cells if shots > 0}
    gaps: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        without = sorted(wanted[row.label.subset, row.label.trained_on] - row.cells.keys())
        if without and max(row.cells) > 0:
            who = f"{shown_trainer(row.label.trainer, row.variant, oracle=False)} {row.label.config}"
            gaps[who].append(f"{shown_dataset(row.label)} at {shots_names(without)}")
    return [f"no runs: {who}: {'; '.join(places)}" for who, places in gaps.items()]


def problem_notes(cells: Sequence[Cell], keyword: str) -> list[str]:
    """List what is missing, failed, unfinished, damaged, repeated or kept apart."""
    notes = []
    for cell in cells:
        where = f"{shown_dataset(cell.label)} {shown_trainer(cell.label.trainer, cell.variant, oracle=cell.oracle)}"
        where += f" {cell.label.config} {shots_name(cell.label.shots)}"
        if cell.missing:
            notes.append(f"missing: {where}: seed {', '.join(map(str, cell.missing))}")
        for run in cell.others:
            seed = "" if run.seed is None else f" seed {run.seed}"
            notes.append(f"{run.status}: {where}{seed}{f': {run.error}' if run.error else ''} ({run.folder})")
        for run, counted in cell.repeats:
            same = run.scores.get("accuracy") == counted.scores.get("accuracy")
            notes.append(
                f"not counted: {run.folder} repeats seed {run.seed} of {counted.folder}"
                + ("" if same or not run.scores else f", with {run.scores['accuracy']:.2f} % accuracy")
            )
        without = [run.folder.name for run in cell.runs if keyword not in run.scores]
        notes += [f"no {keyword}: {where}: {', '.join(without)}"] if without else []
        notes += [f"note: {run.folder}: {remark}" for run in cell.runs for remark in run.remarks]
    if any(cell.variant for cell in cells):
        notes.append("runs that differ in the settings in brackets are kept apart, never averaged together")
    return notes


def problems_of(cell: Cell, keyword: str) -> str:
    """Return what is wrong with a cell in a few words, for the long table and for programs."""
    named: list[tuple[str, tuple[Seed, ...]]] = [("missing", cell.missing)]
    for status in ("failed", "unfinished", "damaged"):
        named.append((status, tuple(seed_of(run) for run in cell.others if run.status == status)))
    named.append((f"no {keyword} in", tuple(seed_of(run) for run in cell.runs if keyword not in run.scores)))
    named.append(("repeated", tuple(seed_of(run) for run, _ in cell.repeats)))
    return "; ".join(f"{what} {', '.join(map(str, seeds))}" for what, seeds in named if seeds)


def shots_names(shots: Sequence[int]) -> str:
    """Return several numbers of shots as text."""
    return ", ".join(map(str, shots[:-1])) + (" and " if len(shots) > 1 else "") + shots_name(shots[-1])


def shots_name(shots: int) -> str:
    """Return a number of shots as text."""
    return {-1: "? shots", 1: "1 shot"}.get(shots, f"{shots} shots")
