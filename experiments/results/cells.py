"""Gather runs into the cells of a table: the seeds of one configuration, and what is missing or wrong."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.results.labels import ZERO_SHOT_TRAINER, Label
from experiments.results.run_folders import Run
from experiments.results.statistics import Summary, summarise
from experiments.results.variants import variants

DAGGER = "†"
Seed = int | str  # a run that names no seed goes by its folder


@dataclass(frozen=True)
class Cell:
    """The seeds of one configuration.

    Attributes:
        label: What they have in common.
        variant: What tells them from runs of the same label with other settings; "" if there are none.
        runs: The finished ones, one a seed, by seed.
        others: Those that failed, did not finish or cannot be believed.
        repeats: Runs that are not counted, each with the run of the same seed that is.
        missing: Expected seeds without a folder.
        zero_shot: Zero-shot accuracy on the same images.
    """

    label: Label
    variant: str
    runs: tuple[Run, ...]
    others: tuple[Run, ...]
    repeats: tuple[tuple[Run, Run], ...]
    missing: tuple[int, ...]
    zero_shot: float | None

    @property
    def oracle(self) -> bool:
        """Whether test labels chose anything in a run that counts."""
        return any(run.oracle for run in self.runs)

    @property
    def wanted(self) -> int:
        """How many seeds there should be."""
        return len(self.runs) + len(self.others) + len(self.missing)

    def values(self, keyword: str) -> dict[Seed, float]:
        """Return a score of every finished run that has it, by seed."""
        return {seed_of(run): run.scores[keyword] for run in self.runs if keyword in run.scores}

    def summary(self, keyword: str) -> Summary:
        """Summarise a score over the seeds."""
        return summarise(list(self.values(keyword).values()))


def seed_of(run: Run) -> Seed:
    """Return a run's seed, or its folder's name where it has none."""
    return run.folder.name if run.seed is None else run.seed


def shown_dataset(label: Label) -> str:
    """Return a data set as tables show it, with its half of the classes and where the model comes from."""
    remarks = [label.subset] * (label.subset != "all") + [f"from {label.trained_on}"] * bool(label.trained_on)
    return f"{label.dataset} ({', '.join(remarks)})" if remarks else label.dataset


def shown_trainer(trainer: str, variant: str, *, oracle: bool) -> str:
    """Return a trainer as tables show it: a dagger marks test labels, brackets what tells variants apart."""
    return f"{trainer}{DAGGER * oracle}{f' [{variant}]' if variant else ''}"


def gather_cells(runs: Sequence[Run], expected: Iterable[int] | None = None) -> list[Cell]:
    """Gather runs into cells, sorted by label.

    Args:
        runs: The runs, from any folders.
        expected: Seeds that every cell should have; None means all seeds that any run has.
    """
    runs = _labelled(runs)
    wanted = {run.seed for run in runs if run.seed is not None} if expected is None else set(expected)
    groups: dict[tuple[Label, str], list[Run]] = defaultdict(list)
    for run, variant in zip(runs, variants(runs), strict=True):
        groups[run.label, variant].append(run)
    for label, variant in [key for key in groups if not key[1]]:
        _adopt_unfinished(groups, label, variant)
    zero_shot = {
        _images(run.label): run.scores["accuracy"]
        for run in runs
        if run.label.trainer == ZERO_SHOT_TRAINER and run.scores
    }
    return [
        _cell(label, variant, group, wanted, zero_shot.get(_images(label)))
        for (label, variant), group in sorted(groups.items(), key=lambda item: item[0])
        if group
    ]


def _labelled(runs: Sequence[Run]) -> list[Run]:
    """Give runs that could not say what they are the label of the only kind of run beside them, or its backbone."""
    named: dict[Path, set[Label]] = defaultdict(set)
    backbones: dict[tuple[str, str], set[str]] = defaultdict(set)
    for run in runs:
        if run.scores:
            named[run.folder.parent].add(run.label)
            backbones[run.label.trainer, run.label.config].add(run.label.backbone)
    return [run if run.scores or run.result else replace(run, label=_guess(run, named, backbones)) for run in runs]


def _guess(run: Run, named: Mapping[Path, set[Label]], backbones: Mapping[tuple[str, str], set[str]]) -> Label:
    siblings = named.get(run.folder.parent, set())
    if len(siblings) == 1:
        return next(iter(siblings))
    known = backbones.get((run.label.trainer, run.label.config), set())
    return run.label._replace(backbone=next(iter(known))) if not run.label.backbone and len(known) == 1 else run.label


def _adopt_unfinished(groups: dict[tuple[Label, str], list[Run]], label: Label, variant: str) -> None:
    """Count runs without settings to the only variant of their cell, if there is just one."""
    kinds = [key for key in groups if key[0] == label and key[1] and any(run.scores for run in groups[key])]
    if len(kinds) == 1 and not any(run.scores for run in groups[label, variant]):
        groups[kinds[0]] += groups[label, variant]
        groups[label, variant] = []


def _images(label: Label) -> tuple[str, str, str]:
    return (label.dataset, label.subset, label.backbone or label.config)


def _cell(label: Label, variant: str, group: list[Run], wanted: set[int], zero_shot: float | None) -> Cell:
    counted: dict[Seed, Run] = {}
    repeats = []
    for run in sorted(group, key=lambda run: (not run.scores, run.folder)):  # one that finished counts before others
        if counted.setdefault(seed_of(run), run) is not run:
            repeats.append((run, counted[seed_of(run)]))
    by_seed = [counted[seed] for seed in sorted(counted, key=lambda seed: (isinstance(seed, str), seed))]
    known = {seed for seed in counted if isinstance(seed, int)}
    finished = tuple(run for run in by_seed if run.scores)
    complete = label.trainer == ZERO_SHOT_TRAINER and bool(finished)  # it draws nothing: any seed stands for all
    own = [run.zero_shot for run in finished if run.zero_shot is not None]
    return Cell(
        label=label,
        variant=variant,
        runs=finished,
        others=tuple(run for run in by_seed if not run.scores),
        repeats=tuple(repeats),
        missing=tuple(sorted(wanted - known)) if known and not complete else (),
        zero_shot=statistics.fmean(own) if own else zero_shot,
    )
