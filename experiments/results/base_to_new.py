"""Base-to-new generalisation: accuracy on the classes trained on, on the others, and their harmonic mean H.

Per data set H is taken seed by seed and then averaged: a seed's two halves belong to one model, and the spread of H is
then that of whole runs. Papers take H of the two averages; it is never smaller, by little, and is given to programs
as ``harmonic_mean_of_means``. The average over the eleven follows the papers: H of the average base and new accuracy.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.results.averages import ELEVEN, OF_ELEVEN
from experiments.results.cells import Cell, Seed, shown_trainer
from experiments.results.run_folders import Label
from experiments.results.statistics import Summary, harmonic_mean, summarise
from experiments.results.table import ORACLE_NOTE, Section, percent, with_spread


@dataclass(frozen=True)
class BaseToNew:
    """Both halves of one data set, trainer, config and number of shots, over the seeds that have both."""

    label: Label  # its subset is "base"
    variant: str
    base: Summary
    new: Summary
    harmonic: Summary
    unmatched: tuple[Seed, ...]
    oracle: bool

    @property
    def harmonic_of_means(self) -> float | None:
        """H of the mean accuracies, as papers take it."""
        both = self.base.mean is not None and self.new.mean is not None
        return harmonic_mean(self.base.mean or 0.0, self.new.mean or 0.0) if both else None


def base_to_new(cells: Sequence[Cell]) -> list[BaseToNew]:
    """Match the cells of base and new classes."""
    halves: dict[Any, dict[str, Cell]] = defaultdict(dict)
    for cell in cells:
        if cell.label.subset in ("base", "new"):
            halves[cell.label._replace(subset="base"), cell.variant][cell.label.subset] = cell
    return [_match(label, variant, found) for (label, variant), found in halves.items()]


def _match(label: Label, variant: str, halves: dict[str, Cell]) -> BaseToNew:
    base, new = ({} if (cell := halves.get(half)) is None else cell.values("accuracy") for half in ("base", "new"))
    seeds = [seed for seed in base if seed in new]
    return BaseToNew(
        label=label,
        variant=variant,
        base=summarise([base[seed] for seed in seeds]),
        new=summarise([new[seed] for seed in seeds]),
        harmonic=summarise([harmonic_mean(base[seed], new[seed]) for seed in seeds]),
        unmatched=tuple(sorted(base.keys() ^ new.keys(), key=str)),
        oracle=any(cell.oracle for cell in halves.values()),
    )


def base_to_new_section(cells: Sequence[Cell], spread: str) -> Section | None:
    """Return the table of base, new and H, None if no run was made on half of the classes."""
    found = base_to_new(cells)
    if not found:
        return None
    headers = ["data set", "trainer", "config", "backbone", "shots", "base", "new", "H", "seeds"]
    rows = [_row(item, spread) for item in found]
    notes = ["H: harmonic mean of base and new accuracy, seed by seed, then averaged; seeds that have both"]
    for item in found:
        if item.unmatched:
            seeds = ", ".join(map(str, item.unmatched))
            notes.append(f"{item.label.dataset} {item.label.trainer}: only base or only new for seed {seeds}: left out")
    for group in _groups(found):
        row, note = _average(group)
        rows += [row]
        notes += [note]
    notes += [ORACLE_NOTE] if any(item.oracle for item in found) else []
    return Section("base_to_new", "Base to new classes", headers, rows, notes, [_entry(item, spread) for item in found])


def _row(item: BaseToNew, spread: str) -> list[str]:
    label = item.label
    scores = [with_spread(summary.mean, summary.spread(spread)) for summary in (item.base, item.new, item.harmonic)]
    trainer = shown_trainer(label.trainer, item.variant, oracle=item.oracle)
    row = [label.dataset, trainer, label.config, label.backbone or "?", str(label.shots), *scores]
    return [*row, str(item.harmonic.count)]


def _groups(found: Sequence[BaseToNew]) -> list[list[BaseToNew]]:
    groups: dict[Any, list[BaseToNew]] = defaultdict(list)
    for item in found:
        if item.label.dataset in ELEVEN:
            groups[item.label._replace(dataset=""), item.variant].append(item)
    return [group for group in groups.values() if len(group) > 1]


def _average(group: Sequence[BaseToNew]) -> tuple[list[str], str]:
    there = {item.label.dataset: item for item in group if item.harmonic.count}
    missing = [name for name in ELEVEN if name not in there]
    label, means = group[0].label, ["-", "-", "-"]
    if not missing:
        base, new = (
            sum((item.base if half == "base" else item.new).mean or 0.0 for item in there.values()) / len(ELEVEN)
            for half in ("base", "new")
        )
        means = [percent(base), percent(new), percent(harmonic_mean(base, new))]
    trainer = shown_trainer(label.trainer, group[0].variant, oracle=any(item.oracle for item in group))
    who = f"{OF_ELEVEN}, {trainer} {label.config} {label.shots} shots"
    lacking = f"not given, {len(missing)} missing: {', '.join(missing)}"
    note = f"{who}: {lacking if missing else 'H of the averages, as papers give it'}"
    row = [OF_ELEVEN, trainer, label.config, label.backbone or "?", str(label.shots), *means, "-"]
    return row, note


def _entry(item: BaseToNew, spread: str) -> dict[str, Any]:
    return {
        **item.label._replace(subset="base and new")._asdict(),
        "variant": item.variant,
        "base_accuracy": item.base.mean,
        f"base_accuracy_{spread}": item.base.spread(spread),
        "new_accuracy": item.new.mean,
        f"new_accuracy_{spread}": item.new.spread(spread),
        "harmonic_mean": item.harmonic.mean,
        f"harmonic_mean_{spread}": item.harmonic.spread(spread),
        "harmonic_mean_of_means": item.harmonic_of_means,
        "seeds_finished": item.harmonic.count,
        "unmatched_seeds": list(item.unmatched),
        "oracle": item.oracle,
    }
