"""How long things take to start, each time in a new process.

    python -m benchmarks.startup

Prints the seconds of ``import dassl`` and of its engine after torch is loaded, and of ``python train.py --help``.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
IMPORT = "import {before}, time; start = time.perf_counter(); import {what}; print(time.perf_counter() - start)"


def time_import(what: str, before: str) -> float:
    """Return the seconds that an import takes after another one."""
    command = [sys.executable, "-c", IMPORT.format(what=what, before=before)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(done.stdout)


def time_help() -> float:
    """Return the seconds of ``python train.py --help``, the start of Python included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "train.py", "--help"], cwd=REPOSITORY, capture_output=True, check=True)
    return time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    rounds = range(max(parser.parse_args(argv).rounds, 1))
    tasks = {
        "import dassl, after torch": lambda: time_import("dassl", "torch"),
        "import dassl.engine, after torchvision": lambda: time_import("dassl.engine", "torchvision"),
        "python train.py --help": time_help,
    }
    print(f"{'seconds':40}{'min':>8}{'median':>8}{'max':>8}")
    for name, task in tasks.items():
        times = [task() for _ in rounds]
        figures = (min(times), statistics.median(times), max(times))
        print(f"{name:40}{''.join(f'{figure:8.3f}' for figure in figures)}")


if __name__ == "__main__":
    main()
