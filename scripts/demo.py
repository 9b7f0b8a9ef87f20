"""Adapt the bundled tiny CLIP to real digits and to drawn shapes, then print the table and draw the plot.

    python -m scripts.demo [--output output/demo] [--shots 1 4 16] [--seeds 1 2 3] [--workers 2]

Zero-shot CLIP, two linear probes, AMU and RAFT, each through train.py's own entry point. A run that is finished is
not repeated; remove the output folder to begin anew.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

import parse_results

DATASETS = ("digits", "shapes")
PROBES = ("LinearProbe", "PixelProbe")
METHODS = ("AMU", "RAFT")
REPOSITORY = Path(__file__).resolve().parent.parent


def cells(output: Path, shots: Sequence[int], seeds: Sequence[int]) -> Iterator[tuple[Path, list[str]]]:
    """Yield the folder and the command line of every run."""
    for dataset in DATASETS:
        for trainer in ("ZeroshotCLIP", *PROBES, *METHODS):
            config = trainer if trainer in METHODS else "ZeroshotCLIP"  # the probes need the images of zero-shot CLIP
            for num_shots in (0,) if trainer == "ZeroshotCLIP" else shots:
                for seed in seeds:
                    folder = output / dataset / trainer / f"tiny_{num_shots}shots" / f"seed{seed}"
                    flags = {
                        "--trainer": trainer,
                        "--dataset-config-file": str(REPOSITORY / f"configs/datasets/{dataset}.yaml"),
                        "--config-file": str(REPOSITORY / f"configs/trainers/{config}/tiny.yaml"),
                        "--output-dir": str(folder),
                        "--seed": str(seed),
                    }
                    words = [word for flag in flags.items() for word in flag]
                    yield folder, [*words, "DATASET.NUM_SHOTS", str(num_shots)]


def run_cell(command: list[str]) -> str | None:
    """Do one run; its console text goes to its log.txt alone. Return None, or the message of its error."""
    import train
    from runs.arguments import build_parser
    from scripts import probes  # noqa: F401  registers the probes

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            train.run(build_parser().parse_args(command))
    except train.EXPECTED_ERRORS as error:
        return train.one_line(error)
    return None


def is_finished(folder: Path) -> bool:
    """Tell whether a run folder holds a finished result."""
    try:
        return bool(json.loads((folder / "result.json").read_text())["status"] == "finished")
    except (OSError, ValueError, KeyError):
        return False


def run_missing(jobs: list[tuple[Path, list[str]]], output: Path, workers: int) -> list[str]:
    """Do the runs in worker processes under one progress bar; return one line per failed run."""
    os.environ["TQDM_DISABLE"] = "1"  # the workers' own bars would overwrite the one that counts runs
    failures = []
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(workers, mp_context=spawn) as pool,
        tqdm(total=len(jobs), unit="run", disable=False) as bar,
    ):
        running = {pool.submit(run_cell, command): folder for folder, command in jobs}
        try:
            for done in as_completed(running):
                folder = running[done]
                bar.update()
                bar.set_description(str(folder.relative_to(output)))
                if message := done.result():
                    failures.append(f"{folder}: {message}")
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    return failures


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything that is missing, print the table and save the plot."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("output/demo"))
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes; one thread each")
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    jobs = list(cells(arguments.output, arguments.shots, arguments.seeds))
    missing = [job for job in jobs if not is_finished(job[0])]
    print(f"{len(jobs)} runs, {len(jobs) - len(missing)} of them finished before; results go to {arguments.output}")
    try:
        failures = run_missing(missing, arguments.output, max(1, min(arguments.workers, len(missing))))
    except KeyboardInterrupt:
        print("stopped; the same command goes on with the runs that are missing", file=sys.stderr)
        return 130
    for line in failures:
        print(f"error: {line}", file=sys.stderr)
    print(f"Done after {time.perf_counter() - started:.0f} seconds\n")
    plot = arguments.output / "accuracy.png"
    return parse_results.main([str(arguments.output), "--plot", str(plot)]) or bool(failures)


if __name__ == "__main__":
    sys.exit(main())
