"""Adapt the bundled tiny CLIP to real digits and to drawn shapes, then print the table and draw the plot.

    python -m scripts.demo [--output output/demo] [--shots 1 4 16] [--seeds 1 2 3] [--workers 2]

The methods of configs/sweeps/demo.yaml as one sweep. A run that is finished is not repeated; remove the output
folder to begin anew.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import parse_results
from experiments.runs.config import CONFIGS
from experiments.sweep.devices import num_cores
from scripts import sweep

PLAN = CONFIGS / "sweeps" / "demo.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run everything that is missing, print the table and save the plot."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("output/demo"))
    parser.add_argument("--shots", nargs="+", default=["1", "4", "16"])
    parser.add_argument("--seeds", nargs="+", default=["1", "2", "3"])
    parser.add_argument("--workers", default=str(num_cores()), help="processes; one thread each")
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    words = ["--plan", str(PLAN), "--shots", *arguments.shots, "--seeds", *arguments.seeds]
    status = sweep.main([*words, "--output-dir", str(arguments.output), "--jobs", arguments.workers])
    if status in (sweep.REFUSED, sweep.STOPPED):
        return status
    print(f"Done after {time.perf_counter() - started:.0f} seconds\n")
    plot = arguments.output / "accuracy.png"
    return parse_results.main([str(arguments.output), "--plot", str(plot)]) or status


if __name__ == "__main__":
    sys.exit(main())
