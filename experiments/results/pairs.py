"""Two trainers compared seed by seed: both saw the same few images, so their difference varies less than either."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.results.averages import average_over_datasets
from experiments.results.cells import Cell, Seed, shown_dataset, shown_trainer
from experiments.results.run_folders import ZERO_SHOT_TRAINER, Label
from experiments.results.statistics import Summary, matched_differences, summarise
from experiments.results.table import ORACLE_NOTE, Section, percent

ALL = "all data sets"


@dataclass(frozen=True)
class Pair:
    """First trainer minus second, in percentage points.

    Attributes:
        label: As of the first trainer's cell; ``dataset`` is "all data sets" for the mean over them.
        names: Both trainers as tables show them.
        differences: By seed that both finished.
        summary: Of the differences. For all data sets: of every seed's mean over the data sets.
        unmatched: Seeds that only one of the two finished.
        oracle: Whether test labels chose anything in either.
        stands_for_all: The only run of a trainer that draws nothing, which is compared with every seed of the other; ""
            if both were run with seeds of their own.
    """

    label: Label
    names: tuple[str, str]
    differences: dict[Seed, float]
    summary: Summary
    unmatched: tuple[Seed, ...]
    oracle: bool
    stands_for_all: str = ""


def paired(cells: Sequence[Cell], first: str, second: str, keyword: str) -> tuple[list[Pair], list[str]]:
    """Compare two trainers on the same data set, classes, backbone, shots and seeds.

    A trainer of zero shots, such as zero-shot CLIP, is compared at every number of shots. Zero-shot CLIP draws nothing:
    if it was run once, that run is compared with every seed. Configs of other names are compared only where each
    trainer has just one.

    Returns:
        The pairs, with the mean over data sets last, and the first trainer's cells that have no counterpart.

    Raises:
        ValueError: If one trainer has no finished run, or both are the same.
    """
    if first == second:
        raise ValueError(f"--paired needs two trainers, not {first} twice")
    finished = [cell for cell in cells if cell.values(keyword)]
    trainers = sorted({cell.label.trainer for cell in finished})
    for name in (first, second):
        if name not in trainers:
            raise ValueError(f"no finished runs of trainer {name} to pair; there are {', '.join(trainers) or 'none'}")
    others: dict[Any, list[Cell]] = defaultdict(list)
    for cell in finished:
        if cell.label.trainer == second:
            others[_place(cell.label)].append(cell)
    ones = [cell for cell in finished if cell.label.trainer == first]
    pairs: list[Pair] = []
    alone: dict[str, list[int]] = defaultdict(list)
    for cell in ones:
        found = _counterparts(cell, others[_place(cell.label)], ones)
        pairs += [_pair(cell, other, keyword) for other in found]
        if not found:
            alone[_where(cell)].append(cell.label.shots)
    without = [f"{where} at {', '.join(map(str, shots))} shots" for where, shots in alone.items()]
    return pairs + _over_datasets(pairs), without


def _place(label: Label) -> Any:
    return (label.dataset, label.subset, label.backbone, label.trained_on)


def _meets(one: Cell, other: Cell) -> bool:
    return one.label.shots == other.label.shots or 0 in (one.label.shots, other.label.shots)


def _counterparts(cell: Cell, others: Sequence[Cell], ones: Sequence[Cell]) -> list[Cell]:
    """Return the other trainer's cell at every number of shots that meets this one's, where it is clear which."""
    found = []
    for shots in sorted({other.label.shots for other in others if _meets(cell, other)}):
        there = [other for other in others if other.label.shots == shots]
        same = [other for other in there if (other.label.config, other.variant) == (cell.label.config, cell.variant)]
        rivals = [
            one for one in ones if _place(one.label) == _place(cell.label) and one.label.shots == cell.label.shots
        ]
        candidates = same or (there if len(rivals) == 1 else [])
        found += candidates if len(candidates) == 1 else []
    return found


def _pair(cell: Cell, other: Cell, keyword: str) -> Pair:
    ours, theirs = cell.values(keyword), other.values(keyword)
    stands_for_all = ""
    if ours.keys() != theirs.keys():
        if _draws_nothing(other, theirs):
            stands_for_all = _only_run(other, theirs)
            theirs = dict.fromkeys(ours, *theirs.values())
        elif _draws_nothing(cell, ours):
            stands_for_all = _only_run(cell, ours)
            ours = dict.fromkeys(theirs, *ours.values())
    differences = matched_differences(ours, theirs)
    unmatched = tuple(sorted(ours.keys() ^ theirs.keys(), key=str))
    shots = max(cell.label.shots, other.label.shots)
    label = cell.label._replace(shots=shots)
    names = (_name(cell), _name(other))
    summary = summarise(list(differences.values()))
    return Pair(label, names, differences, summary, unmatched, cell.oracle or other.oracle, stands_for_all)


def _draws_nothing(cell: Cell, values: dict[Seed, float]) -> bool:
    return cell.label.trainer == ZERO_SHOT_TRAINER and len(values) == 1


def _only_run(cell: Cell, values: dict[Seed, float]) -> str:
    return f"{cell.label.trainer} draws nothing: its only run (seed {next(iter(values))})"


def _name(cell: Cell) -> str:
    return shown_trainer(cell.label.trainer, cell.variant, oracle=cell.oracle)


def _where(cell: Cell) -> str:
    return f"{shown_dataset(cell.label)} {_name(cell)} {cell.label.config}"


def _over_datasets(pairs: Sequence[Pair]) -> list[Pair]:
    groups: dict[Any, list[Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.differences and not pair.label.trained_on:
            groups[pair.label._replace(dataset=ALL), pair.names].append(pair)
    overall = []
    for (label, names), group in sorted(groups.items(), key=lambda item: item[0]):
        common = set.intersection(*(set(pair.differences) for pair in group))
        if len(group) < 2 or not common:
            continue
        kept = [{seed: pair.differences[seed] for seed in sorted(common, key=str)} for pair in group]
        left_out = {seed for pair in group for seed in pair.differences} - common
        summary = average_over_datasets(kept)
        by_seed = {seed: sum(values[seed] for values in kept) / len(kept) for seed in kept[0]}
        unmatched = tuple(sorted(left_out, key=str))
        overall.append(Pair(label, names, by_seed, summary, unmatched, any(pair.oracle for pair in group)))
    return overall


def paired_section(cells: Sequence[Cell], first: str, second: str, keyword: str) -> Section:
    """Return the table of paired differences."""
    pairs, alone = paired(cells, first, second, keyword)
    headers = ["data set", "config", "backbone", "shots", "difference", "95 % interval", "seeds", "seeds of one only"]
    notes = [
        f"{keyword}, percentage points, mean over seeds of {first} minus {second}; Student's t interval of that mean",
        f"{ALL}: every seed's mean over the data sets; its interval is about seeds, not about data sets",
        *(f"no counterpart of {second}: {where}" for where in alone),
    ]
    names = {pair.names for pair in pairs}
    title = f"{first} minus {second}, paired by seed"
    rows = [_row(pair, several=len(names) > 1) for pair in pairs]
    single_runs = dict.fromkeys(pair.stands_for_all for pair in pairs if pair.stands_for_all)
    notes += [f"{run} is compared with every seed" for run in single_runs]
    notes += [ORACLE_NOTE] if any(pair.oracle for pair in pairs) else []
    return Section("paired", title, headers, rows, notes, [_entry(pair, first, second, keyword) for pair in pairs])


def _row(pair: Pair, *, several: bool) -> list[str]:
    label, summary = pair.label, pair.summary
    dataset = shown_dataset(label) + (f": {pair.names[0]} and {pair.names[1]}" if several or pair.oracle else "")
    low, high = _interval(summary)
    interval = "-" if low is None else f"{percent(low, signed=True)} to {percent(high, signed=True)}"
    seeds = ", ".join(map(str, pair.unmatched))
    difference = percent(summary.mean, signed=True)
    return [
        dataset,
        label.config,
        label.backbone or "?",
        str(label.shots),
        difference,
        interval,
        str(summary.count),
        seeds,
    ]


def _interval(summary: Summary) -> tuple[float | None, float | None]:
    if summary.mean is None or summary.ci95 is None:
        return None, None
    return summary.mean - summary.ci95, summary.mean + summary.ci95


def _entry(pair: Pair, first: str, second: str, keyword: str) -> dict[str, Any]:
    low, high = _interval(pair.summary)
    return {
        **pair.label._asdict(),
        "trainer": f"{first} - {second}",
        f"{keyword}_difference": pair.summary.mean,
        f"{keyword}_difference_low95": low,
        f"{keyword}_difference_high95": high,
        "seeds_finished": pair.summary.count,
        "seeds": list(pair.differences),
        "unmatched_seeds": list(pair.unmatched),
        "oracle": pair.oracle,
    }
