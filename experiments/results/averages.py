"""Averages over data sets, as the papers compute them: the mean of the data sets' means."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.results.cells import Cell, Seed
from experiments.results.run_folders import Label
from experiments.results.statistics import Summary, summarise
from experiments.results.variants import PROTOCOL

ELEVEN = (
    "imagenet",
    "caltech101",
    "oxford_pets",
    "stanford_cars",
    "oxford_flowers",
    "food101",
    "fgvc_aircraft",
    "sun397",
    "dtd",
    "eurosat",
    "ucf101",
)  # ImageNet's variants are not among them
OF_ELEVEN = "average of 11"
OF_PRESENT = "average of those present"
AVERAGES = ("eleven", "present", "none")


@dataclass(frozen=True)
class Average:
    """The average of one trainer and config at one number of shots.

    Attributes:
        label: Its ``dataset`` is OF_ELEVEN or OF_PRESENT.
        variant: As of the cells.
        cells: The cells of the data sets.
        missing: Data sets of the eleven that have no finished run here; with any of them there is no mean.
        summary: The mean; count and spread are those of the seeds that every data set has, over which each seed's own
            average varies. None of them where seeds differ between data sets.
        mixed: What differs between the data sets' protocols, such as "selected_on".
    """

    label: Label
    variant: str
    cells: tuple[Cell, ...]
    missing: tuple[str, ...]
    summary: Summary
    mixed: tuple[str, ...]

    @property
    def of_eleven(self) -> bool:
        """Whether it is the papers' average."""
        return self.label.dataset == OF_ELEVEN

    @property
    def oracle(self) -> bool:
        """Whether test labels chose anything in one of the data sets."""
        return any(cell.oracle for cell in self.cells)


def averages(cells: Sequence[Cell], keyword: str, which: str = "eleven") -> list[Average]:
    """Average over data sets.

    Args:
        cells: All cells. Models that were trained on another data set are no part of an average.
        keyword: The score.
        which: "eleven": only where all eleven are there, never fewer; "present": whatever data sets are there;
            "none": no averages.
    """
    groups: dict[tuple[Label, str], list[Cell]] = defaultdict(list)
    name = OF_ELEVEN if which == "eleven" else OF_PRESENT
    for cell in cells:
        if which == "none" or cell.label.trained_on or (which == "eleven" and cell.label.dataset not in ELEVEN):
            continue
        groups[cell.label._replace(dataset=name), cell.variant].append(cell)
    return [_average(label, variant, group, keyword, which) for (label, variant), group in sorted(groups.items())]


def _average(label: Label, variant: str, group: list[Cell], keyword: str, which: str) -> Average:
    finished = [cell for cell in group if cell.values(keyword)]
    there = {cell.label.dataset for cell in finished}
    missing = tuple(name for name in ELEVEN if name not in there) if which == "eleven" else ()
    values = [cell.values(keyword) for cell in finished]
    summary = summarise([]) if missing or not values else average_over_datasets(values)
    return Average(label, variant, tuple(group), missing, summary, _mixed(finished))


def average_over_datasets(values: Sequence[dict[Seed, float]]) -> Summary:
    """Return the mean of the data sets' means, with the spread over seeds of every seed's own average.

    Args:
        values: Per data set its score by seed.
    """
    mean = sum(sum(by_seed.values()) / len(by_seed) for by_seed in values) / len(values)
    seeds = values[0].keys()
    if any(by_seed.keys() != seeds for by_seed in values):
        return Summary(0, mean, None, None)
    per_seed = summarise([sum(by_seed[seed] for by_seed in values) / len(values) for seed in seeds])
    return Summary(per_seed.count, mean, per_seed.std, per_seed.ci95)


def _mixed(cells: Sequence[Cell]) -> tuple[str, ...]:
    known: dict[str, set[Any]] = defaultdict(set)
    for cell in cells:
        for run in cell.runs:
            for key in PROTOCOL:
                if key in run.protocol:
                    known[key].add(str(run.protocol[key]))
    return tuple(key for key in PROTOCOL if len(known[key]) > 1)
