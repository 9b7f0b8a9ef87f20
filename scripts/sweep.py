"""Many runs as one job: trainers x data sets x backbones x shots x seeds.

    python -m scripts.sweep --trainers AMU RAFT ZeroshotCLIP --datasets digits shapes --shots 1 2 4 8 16 --seeds 1 2 3
    python -m scripts.sweep --plan my_sweep.yaml --plan-only

Prints the plan, then runs what is missing. Stopped at any moment, the same command goes on. docs/sweep.md explains.
"""

import argparse
import contextlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from amu_raft.errors import EXPECTED_ERRORS, one_line

if TYPE_CHECKING:
    from experiments.runs.config import RunPlan
    from experiments.sweep.axes import Axes
    from experiments.sweep.cell import Cell, Outcome
    from experiments.sweep.estimate import Durations

ONE_VALUE = ("--plan", "--root", "--output-dir")  # what follows may look like a KEY
REFUSED, FAILED, STOPPED = 2, 1, 130  # exit statuses: nothing was run; some runs failed; stopped


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; what is not given stays None, so that it leaves a plan file's value as it is."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--plan", type=Path, metavar="FILE", help="YAML file with any of the following; a flag takes precedence")
    add("--trainers", nargs="+", help="registered trainers; one that trains nothing runs once per data set")
    add("--datasets", nargs="+", help="files of configs/datasets, without .yaml")
    add("--backbones", nargs="+", help="files of configs/trainers/TRAINER, or CLIP names (default: tiny for data sets "
        "that need no data, else rn50)")  # fmt: skip
    add("--shots", nargs="+", help='images per class, or "all" (default 1 2 4 8 16)')
    add("--seeds", nargs="+", help="seeds (default 1 2 3)")
    add("--root", help="folder that holds the data sets")
    add("--output-dir", help="folder of the results (default output)")
    add("--job", help="grid (default); transfer: train on ImageNet, evaluate on the data sets; base2new: train on one "
        "half of the classes, evaluate on the other; evaluate: what a grid trained, once more")  # fmt: skip
    add("--import", dest="modules", nargs="+", action="extend", metavar="MODULE", help="modules or files that register "
        "methods, trainers or data sets")  # fmt: skip
    add("--plan-only", "--dry-run", action="store_true", help="print the plan, run nothing")
    add("--jobs", help="processes (default: one per CUDA device, or one); 0: in this process, for a debugger")
    add("--table", action="store_true", help="print the table of these runs in the end, as parse_results.py does")
    add("--verbose", action="store_true", help="show what runs print, which log.txt has anyway")
    parser.epilog = "KEY VALUE pairs after all flags (after -- if a KEY has no dot) are settings of every run."
    return parser


def split_pairs(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command line into flags and the pairs after them, which flags of several values would swallow."""
    for place, word in enumerate(words):
        if word == "--":
            return list(words[:place]), list(words[place + 1 :])
        if re.fullmatch(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+", word) and words[place - 1] not in ONE_VALUE:
            return list(words[:place]), list(words[place:])
    return list(words), []


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan, run what is missing and return the exit status."""
    from experiments.sweep.carrying_out import stoppable

    flags, overrides = split_pairs(sys.argv[1:] if argv is None else argv)
    arguments = build_parser().parse_args(flags)
    try:
        with stoppable():
            return sweep(read_axes(arguments, overrides), arguments)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on with the runs that are missing", file=sys.stderr)
        return STOPPED
    except (*EXPECTED_ERRORS, ImportError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return REFUSED


def read_axes(arguments: argparse.Namespace, overrides: Sequence[str]) -> "Axes":
    """Return the axes: those of the plan file with the flags' in their place, overrides of both.

    Raises:
        ValueError: At bad input.
        FileNotFoundError: If there is no such plan file.
    """
    from experiments.sweep.axes import parse_axes, read_plan_file

    given = read_plan_file(arguments.plan) if arguments.plan else {}
    names = ("trainers", "datasets", "backbones", "shots", "seeds", "root", "output_dir", "job", "modules")
    given |= {name: value for name in names if (value := getattr(arguments, name)) is not None}
    own = given.get("overrides") or ()
    words = [word for pair in own.items() for word in pair] if isinstance(own, Mapping) else own
    if not isinstance(words, Sequence) or isinstance(words, str):
        raise ValueError(f"overrides of {arguments.plan} are KEY: VALUE pairs, got {own!r}")
    return parse_axes({**given, "overrides": [*words, *overrides]})


def sweep(axes: "Axes", arguments: argparse.Namespace) -> int:
    """Carry out a sweep, or print its plan only.

    Raises:
        ValueError: If it cannot be carried out as it is; nothing was run then.
        KeyboardInterrupt: If it was stopped.
    """
    from experiments.sweep.carrying_out import still_to_run
    from experiments.sweep.devices import environments
    from experiments.sweep.estimate import Durations
    from experiments.sweep.overview import overview
    from experiments.sweep.plan import plan_cells
    from experiments.sweep.status import check_data, check_settings, finished_cells, run_plans

    jobs = parse_jobs(arguments.jobs)
    plans = run_plans(plan_cells(axes))
    check_settings(plans)
    cells = list(plans)
    finished = set() if axes.job == "evaluate" else finished_cells(plans)
    to_run = still_to_run(cells, finished)
    processes = environments(jobs, use_cuda=all(plan.cfg.USE_CUDA for plan in plans.values()))
    durations = Durations()
    durations.read(cells)
    print(overview(cells, set(to_run), durations, len(processes)), flush=True)
    check_data([plans[cell] for cell in to_run])
    if arguments.plan_only:
        return 0
    status = run(axes, plans, to_run, durations, jobs=jobs, processes=processes, verbose=arguments.verbose)
    return print_table(cells) or status if arguments.table else status


def run(
    axes: "Axes",
    plans: "Mapping[Cell, RunPlan]",
    to_run: "Sequence[Cell]",
    durations: "Durations",
    *,
    jobs: int | None,
    processes: Sequence[Mapping[str, str]],
    verbose: bool,
) -> int:
    """Run the cells that are missing under one bar, keep sweep.json, and list what failed."""
    from experiments.sweep.carrying_out import carry_out
    from experiments.sweep.journal import Journal
    from experiments.sweep.progress import Progress
    from experiments.sweep.runner import InProcessRunner, ProcessRunner, Runner

    journal = Journal(axes, plans, set(plans) - set(to_run))
    journal.write()
    runner: Runner = InProcessRunner(verbose=verbose) if jobs == 0 else ProcessRunner(processes, verbose=verbose)
    progress = Progress(to_run, durations, len(processes), bar=False if verbose else None)

    def note(outcome: "Outcome") -> None:
        journal.note(outcome)
        progress.note(outcome)

    with contextlib.closing(progress):
        outcomes = carry_out({cell: plans[cell] for cell in to_run}, runner, note)
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        print(f"failed: {outcome.cell.folder}: {outcome.error}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(to_run)} runs failed; the same command tries them again", file=sys.stderr)
    return FAILED if failed else 0


def print_table(cells: "Sequence[Cell]") -> int:
    """Print the table of the plan's runs, of those that failed too, and return its exit status."""
    import parse_results

    folders = dict.fromkeys(str(cell.folder.parent) for cell in cells if cell.folder.is_dir())
    return parse_results.main(list(folders)) if folders else FAILED


def parse_jobs(word: str | None) -> int | None:
    """Return the number of processes, None if it is not given.

    Raises:
        ValueError: If it is no whole number.
    """
    if word is not None and not (word.isascii() and word.isdigit()):
        raise ValueError(f"--jobs is {word!r}; accepted are whole numbers, 0 for this very process")
    return None if word is None else int(word)


if __name__ == "__main__":
    sys.exit(main())
