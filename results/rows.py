"""Gather the seeds of a configuration into one row: mean, spread, and what is missing."""

import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.run_folders import KEYWORDS, Label, Run

ZERO_SHOT_TRAINER = "ZeroshotCLIP"


@dataclass(frozen=True)
class Row:
    """The seeds of one configuration: means over those that finished, in percent, and what is wrong with the others."""

    label: Label
    folder: Path
    means: dict[str, float | None]
    spread: float | None
    finished: int
    wanted: int
    problems: str
    zero_shot: float | None
    oracle: bool


def summarise(
    runs: Sequence[Run], keyword: str, expected: Iterable[int] | None = None, *, ci95: bool = False
) -> list[Row]:
    """Gather runs into rows.

    Args:
        runs: The runs; those of one row have folders side by side.
        keyword: The score whose spread is computed.
        expected: Seeds that every row should have; None means all seeds that any run has.
        ci95: Give the half-width of Student's 95 % interval as the spread, not the standard deviation.
    """
    named: dict[Path, set[Label]] = defaultdict(set)
    for run in runs:
        if run.scores:
            named[run.folder.parent].add(run.label)
    groups: dict[tuple[Label, Path], list[Run]] = defaultdict(list)
    for run in runs:
        siblings = named[run.folder.parent]
        label = run.label if run.scores or len(siblings) != 1 else next(iter(siblings))
        groups[label, run.folder.parent].append(run)
    wanted = {run.seed for run in runs if run.seed is not None} if expected is None else set(expected)
    zero_shot = {
        (run.label.dataset, run.label.subset, run.label.config): run.scores["accuracy"]
        for run in runs
        if run.label.trainer == ZERO_SHOT_TRAINER and run.scores
    }
    return [
        _row(label, folder, group, keyword, wanted, zero_shot.get((label.dataset, label.subset, label.config)), ci95)
        for (label, folder), group in sorted(groups.items())
    ]


def _row(
    label: Label, folder: Path, group: list[Run], keyword: str, wanted: set[int], zero_shot: float | None, ci95: bool
) -> Row:
    by_seed: dict[int | str, Run] = {}
    for run in group:
        if by_seed.setdefault(run.folder.name if run.seed is None else run.seed, run) is not run:
            print(f"{run.folder} repeats seed {run.seed} of a run beside it and is not counted", file=sys.stderr)
    known = {seed for seed in by_seed if isinstance(seed, int)}
    missing = sorted(wanted - known) if known else []
    unfinished = [seed for seed, run in by_seed.items() if not run.scores]
    finished = [run for run in by_seed.values() if run.scores]
    without = [seed for seed, run in by_seed.items() if run.scores and keyword not in run.scores]
    problems = (("missing", missing), ("unfinished", unfinished), (f"no {keyword} in", without))
    own_zero_shot = mean_of_known(run.zero_shot for run in finished)
    return Row(
        label=label,
        folder=folder,
        means={name: mean_of_known(run.scores.get(name) for run in finished) for name in KEYWORDS},
        spread=spread([run.scores[keyword] for run in finished if keyword in run.scores], ci95=ci95),
        finished=len(finished),
        wanted=len(by_seed) + len(missing),
        problems="; ".join(f"{what} {', '.join(map(str, seeds))}" for what, seeds in problems if seeds),
        zero_shot=zero_shot if own_zero_shot is None else own_zero_shot,
        oracle=any(run.oracle for run in finished),
    )


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None, None if there are none."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def spread(values: Sequence[float], *, ci95: bool) -> float | None:
    """Return the sample standard deviation (n - 1), or the half-width of Student's 95 % interval of the mean.

    A single value has no spread: None. (CoOp's parser takes the normal distribution's 1.96 and the population standard
    deviation, which makes the interval of three seeds 2.7 times narrower than it is.)
    """
    if len(values) < 2:
        return None
    deviation = statistics.stdev(values)
    if not ci95:
        return deviation
    from scipy.special import stdtrit  # comes with scikit-learn and holds for any number of seeds; slow to import

    return float(stdtrit(len(values) - 1, 0.975)) * deviation / math.sqrt(len(values))
