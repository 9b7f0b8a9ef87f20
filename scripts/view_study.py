"""How many cached views stand for fresh augmentation: TRAIN.VIEWS online against K, on validation images.

    python -m scripts.view_study --jobs 2 --json docs/performance/view_study.json

Every run is scored on the WHOLE validation split, as in scripts.validate, with seeds that no reported result uses. A
run's accuracy is compared as its mean over the shots. Two rules:

by data set  K is enough for a method on a data set if its mean over the seeds is at most one standard error of
             online's mean below that.
paired       K is enough for a method if its mean loss against the online run of the same data set and seed, over all
             of them, is at most one standard error of these differences.
"""

import argparse
import contextlib
import io
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from tabulate import tabulate
from tqdm import tqdm

from amu_raft.command import carry_out
from amu_raft.json_file import write_json_file
from experiments.runs.config import CONFIGS
from experiments.sweep.axes import read_plan_file
from experiments.sweep.devices import environments
from experiments.sweep.workers import in_processes
from scripts.validate import validation_accuracy

ONLINE = "online"
PLAN = CONFIGS / "sweeps" / "view_study.yaml"


class Run(NamedTuple):
    """One run of the study."""

    trainer: str
    dataset: str
    views: str
    shots: int
    seed: int


class Comparison(NamedTuple):
    """One setting of TRAIN.VIEWS for one method on one data set; accuracies in percent.

    Attributes:
        by_shots: Mean over the seeds for each number of shots.
        mean: Mean of these.
        error: Standard error of ``mean`` over the seeds.
        enough: Whether ``mean`` is at most one standard error of online's mean below that.
    """

    trainer: str
    dataset: str
    views: str
    by_shots: dict[int, float]
    mean: float
    error: float
    enough: bool


class Difference(NamedTuple):
    """How much more accurate one setting of TRAIN.VIEWS is than online, paired by data set and seed; in points.

    Attributes:
        mean: Mean over data sets and seeds.
        error: Its standard error.
        enough: Whether ``mean`` is at most one standard error below zero.
    """

    trainer: str
    views: str
    mean: float
    error: float
    enough: bool


def score(run: Run, store: str) -> float:
    """Do one run, quietly, and return its accuracy on the whole validation split in percent."""
    os.environ["TQDM_DISABLE"] = "1"  # one bar over all runs
    command = ["--trainer", run.trainer, "--dataset-config-file", run.dataset, "--seed", str(run.seed)]
    command += ["DATASET.NUM_SHOTS", str(run.shots), "TRAIN.VIEWS", run.views, "FEATURES.STORE", store]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        return validation_accuracy(command, folder)


def score_all(runs: Sequence[Run], *, jobs: int) -> dict[Run, float]:
    """Do runs in several processes that share one feature store, and return their accuracies.

    Raises:
        RuntimeError: If a run fails, with its error; the study needs them all.
    """
    scores: dict[Run, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="view-study-") as store,
        contextlib.closing(in_processes(partial(score, store=store), runs, environments(jobs, use_cuda=True))) as tasks,
    ):
        for done in tqdm(tasks, total=len(runs), unit="run"):
            if done.value is None:
                raise RuntimeError(f"{done.item}: {done.error}")
            scores[done.item] = done.value
    return {run: scores[run] for run in runs}


def compare(scores: Mapping[Run, float]) -> list[Comparison]:
    """Summarise the runs: one line per method, data set and setting of TRAIN.VIEWS; online among them."""
    shots, seeds = sorted({run.shots for run in scores}), sorted({run.seed for run in scores})
    lines = []
    for trainer, dataset in dict.fromkeys((run.trainer, run.dataset) for run in scores):
        figures = {}
        for views in dict.fromkeys(run.views for run in scores):
            table = {s: [scores[Run(trainer, dataset, views, s, seed)] for seed in seeds] for s in shots}
            by_seed = [statistics.fmean(row) for row in zip(*table.values(), strict=True)]
            error = statistics.stdev(by_seed) / math.sqrt(len(seeds))
            figures[views] = ({s: statistics.fmean(row) for s, row in table.items()}, statistics.fmean(by_seed), error)
        _, online, noise = figures[ONLINE]
        lines += [
            Comparison(trainer, dataset, views, by_shots, mean, error, enough=mean >= online - noise)
            for views, (by_shots, mean, error) in figures.items()
        ]
    return lines


def compare_pairs(scores: Mapping[Run, float]) -> list[Difference]:
    """Compare every K with online over all data sets, each run with the online run of its data set and seed."""
    lines = []
    for trainer, views in dict.fromkeys((run.trainer, run.views) for run in scores if run.views != ONLINE):
        pairs: dict[tuple[str, int], list[float]] = {}
        for run, accuracy in scores.items():
            if (run.trainer, run.views) == (trainer, views):
                online = scores[run._replace(views=ONLINE)]
                pairs.setdefault((run.dataset, run.seed), []).append(accuracy - online)
        losses = [statistics.fmean(row) for row in pairs.values()]
        mean, error = statistics.fmean(losses), statistics.stdev(losses) / math.sqrt(len(losses))
        lines.append(Difference(trainer, views, mean, error, enough=mean >= -error))
    return lines


def smallest_enough(lines: Sequence[Comparison | Difference]) -> str | None:
    """Return the smallest K that is enough on every line; None if none is."""
    counts = sorted({int(line.views) for line in lines if line.views != ONLINE})
    for count in counts:
        if all(line.enough for line in lines if line.views == str(count)):
            return str(count)
    return None


def render(lines: Sequence[Comparison]) -> str:
    """Return the table as Markdown."""
    rows = [
        [line.trainer, line.dataset, line.views]
        + [f"{value:.1f}" for value in line.by_shots.values()]
        + [f"{line.mean:.2f} ± {line.error:.2f}", "" if line.views == ONLINE else "yes" if line.enough else "no"]
        for line in lines
    ]
    headers = ["method", "data set", "views", *(f"{s} shots" for s in lines[0].by_shots), "mean ± error", "enough"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def render_pairs(lines: Sequence[Difference]) -> str:
    """Return the paired differences as Markdown."""
    rows = [
        [line.trainer, line.views, f"{line.mean:+.2f} ± {line.error:.2f}", "yes" if line.enough else "no"]
        for line in sorted(lines, key=lambda line: line.trainer)
    ]
    headers = ["method", "views", "against online ± error", "enough"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainers", nargs="+", default=read_plan_file(PLAN)["trainers"])
    parser.add_argument("--datasets", nargs="+", default=["digits", "shapes"], help="files of configs/datasets")
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="numbers of cached views")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13], help="at least two")
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every accuracy here too")
    arguments = parser.parse_args(argv)
    if len(set(arguments.seeds)) < 2:
        parser.error("--seeds needs two different seeds or more: one gives no standard error")
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {arguments.jobs}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table and the K that it says, and write JSON."""
    return carry_out(partial(_study, parse_arguments(argv)))


def _study(arguments: argparse.Namespace) -> None:
    views = [ONLINE, *map(str, sorted(set(arguments.views)))]
    # The long runs first, so that no process is left with one of them at the end.
    shots = sorted(set(arguments.shots), reverse=True)
    runs = [
        Run(trainer, dataset, view, count, seed)
        for view, count, trainer, dataset, seed in product(
            views, shots, arguments.trainers, arguments.datasets, sorted(set(arguments.seeds))
        )
    ]
    scores = score_all(runs, jobs=arguments.jobs)
    if arguments.json:
        write_report(arguments.json, scores)
    print(f"whole validation splits, seeds {' '.join(map(str, arguments.seeds))}, accuracy in %")
    lines, pairs = compare(scores), compare_pairs(scores)
    print(render(lines))
    print(f"smallest K that is enough by data set: {smallest_enough(lines) or 'none of them'}\n")
    print(render_pairs(pairs))
    print(f"smallest K that is enough paired: {smallest_enough(pairs) or 'none of them'}")


def write_report(path: Path, scores: Mapping[Run, float]) -> None:
    """Write every accuracy, both summaries and the K that each says.

    Raises:
        OSError: If the file cannot be written.
    """
    lines, pairs = compare(scores), compare_pairs(scores)
    report: dict[str, Any] = {
        "study": "views",
        "smallest_enough": {"by data set": smallest_enough(lines), "paired": smallest_enough(pairs)},
        "by_data_set": [line._asdict() for line in lines],
        "paired": [line._asdict() for line in pairs],
        "runs": [{**run._asdict(), "accuracy": accuracy} for run, accuracy in scores.items()],
    }
    write_json_file(report, path)


if __name__ == "__main__":
    sys.exit(main())
