"""What a sweep over shots and seeds of one data set costs with the feature store, and without it.

    python -m benchmarks.sweep_cost --json docs/performance/sweep_cost.json

AMU and RAFT, 1 2 4 8 16 shots, three seeds: 30 runs, one after the other in one process, with encoders of RN50's real
sizes and random weights. Their store is empty at the start. Afterwards it is counted how often each feature of the
test images was computed, which must be once. Without the store, each method runs at the fewest and the most shots and
one seed; the seconds of the other runs are computed from these two, as a straight line in the number of shots. Both
sides have the same settings but for the store, and the same results, which is checked.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch

from amu_raft.features.store import Entry
from amu_raft.features.store.layout import StoreFolder
from amu_raft.features.store.tidying import read_entries
from benchmarks.harness import describe_machine, spread, write_report
from benchmarks.whole_run import METHODS, Files, command, write_files
from experiments.runs.arguments import build_parser
from experiments.runs.session import run

Key = tuple[str, int, int]  # method, shots, seed


def time_run(key: Key, files: Files, settings: Mapping[str, str], output: Path) -> tuple[float, dict[str, float]]:
    """Do a run in this process and return its seconds and the accuracy of every branch."""
    method, shots, seed = key
    keys = {**settings, "DATASET.NUM_SHOTS": str(shots), "SEED": str(seed)}
    arguments = build_parser().parse_args(command(method, files, keys, output))
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        result = run(arguments)
    return time.perf_counter() - start, result["branches"]


def straight_line(low: tuple[int, float], high: tuple[int, float], at: int) -> float:
    """Return the height at a place of the straight line through two points (place, height)."""
    if low[0] == high[0]:
        return low[1]
    return low[1] + (high[1] - low[1]) * (at - low[0]) / (high[0] - low[0])


def count_extractions(store: Path, num_test: int) -> dict[str, int]:
    """Return how many entries a store has for each feature of the test images.

    Raises:
        RuntimeError: If there are none, which would mean that this looked for the wrong ones.
    """
    counts: Counter[str] = Counter()
    for entry in read_entries(StoreFolder(store)):
        if not isinstance(entry, Entry):
            raise RuntimeError(f"{entry} is damaged")
        about = entry.manifest["description"]
        if "images" in about and about["views"] is None and about["images"]["count"] == num_test:
            counts[about["feature"]] += 1
    if not counts:
        raise RuntimeError(f"no features of {num_test} test images in {store}")
    return dict(counts)


def measure(
    files: Files,
    folder: Path,
    settings: Mapping[str, str],
    *,
    shots: Sequence[int],
    seeds: Sequence[int],
    num_test: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Time the sweep with the store, the ends of it without, and some of its runs once more with the store filled.

    Raises:
        RuntimeError: If the sides have other results, or test features were computed more than once.
    """
    store = folder / "store"
    stored = {**settings, "FEATURES.STORE": str(store)}
    runs = [(method, count, seed) for method, seed, count in product(METHODS, seeds, shots)]
    cold = {}
    for key in runs:
        cold[key] = time_run(key, files, stored, folder / "cold" / "-".join(map(str, key)))
        say(f"with the store: {key[0]}, {key[1]} shots, seed {key[2]}: {cold[key][0]:.1f} s")
    counts = count_extractions(store, num_test)
    if max(counts.values()) > 1:
        raise RuntimeError(f"features of the test images were computed more than once: {counts}")
    ends = [(method, count, seeds[0]) for method, count in product(METHODS, sorted({min(shots), max(shots)}))]
    without, warm = {}, {}
    for key in ends:
        name = "-".join(map(str, key))
        without[key] = time_run(key, files, {**settings, "FEATURES.STORE": "off"}, folder / "without" / name)
        warm[key] = time_run(key, files, stored, folder / "warm" / name)
        say(f"{key[0]}, {key[1]} shots: without it {without[key][0]:.1f} s; again with it {warm[key][0]:.1f} s")
        if not cold[key][1] == without[key][1] == warm[key][1]:
            raise RuntimeError(f"{key}: the accuracies with and without the store differ")
    return {
        "runs": len(runs),
        "test_features_computed": counts,
        "with_store_seconds": sum(seconds for seconds, _ in cold.values()),
        "with_store_first_seconds": {method: cold[method, shots[0], seeds[0]][0] for method in METHODS},
        "with_store_seconds_a_run": spread([seconds for seconds, _ in cold.values()])._asdict(),
        "filled_store_seconds_a_run": spread([seconds for seconds, _ in warm.values()])._asdict(),
        "without_store_seconds_measured": {"-".join(map(str, key)): seconds for key, (seconds, _) in without.items()},
        "without_store_seconds": sum(_computed(key, {k: v[0] for k, v in without.items()}) for key in runs),
        "without_store_seconds_are": "computed",
    }


def _computed(key: Key, measured: Mapping[Key, float]) -> float:
    ends = [(count, seconds) for (method, count, _), seconds in measured.items() if method == key[0]]
    return straight_line(min(ends), max(ends), key[1])


# ----------------------------------------------------------------------------------------------------------- command


def print_result(result: Mapping[str, Any]) -> None:
    """Print the totals."""
    total, filled = result["with_store_seconds"], result["filled_store_seconds_a_run"]["median"]
    counts = ", ".join(f"{name} {count} x" for name, count in result["test_features_computed"].items())
    print(f"\ntest features were computed: {counts}")
    print(f"{result['runs']} runs with the store, empty at first   {total:8.1f} s")
    print(f"{result['runs']} runs without it (computed)            {result['without_store_seconds']:8.1f} s")
    print(f"ratio                                     {result['without_store_seconds'] / total:8.1f}")
    print(f"a run with everything in the store        {filled:8.1f} s (median of {2 * len(METHODS)})")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--classes", type=int, default=2, help="classes (default 2)")
    add("--test", type=int, default=50, help="test images per class (default 50)")
    add("--shots", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    add("--seeds", type=int, nargs="+", default=[1, 2, 3])
    add("--views", type=int, default=1, help="K, cached views of both sides (default 1)")
    add("--epochs", type=int, default=5, help="epochs of every run (default 5)")
    add("--threads", type=int, default=2, help="CPU threads (default 2)")
    add("--json", type=Path, metavar="FILE", help="write the figures here too")
    arguments = parser.parse_args(argv)
    if arguments.classes < 2:
        parser.error(f"--classes must be at least 2, got {arguments.classes}")
    for name in ("test", "views", "epochs", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if min(arguments.shots) < 1:
        parser.error(f"--shots must be at least 1, got {min(arguments.shots)}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Print the totals and write JSON."""
    arguments = parse_arguments(argv)
    os.environ["TQDM_DISABLE"] = "1"
    settings = {
        "OPTIM.MAX_EPOCH": str(arguments.epochs),
        "OPTIM.WARMUP_EPOCH": "1",  # RAFT's ten would be all
        "TRAIN.NUM_THREADS": str(arguments.threads),
        "TRAIN.VIEWS": str(arguments.views),
        "DATALOADER.NUM_WORKERS": "0",
    }
    torch.set_num_threads(arguments.threads)
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None), flush=True)
    shots, seeds = sorted(set(arguments.shots)), sorted(set(arguments.seeds))
    with tempfile.TemporaryDirectory(prefix="sweep-cost-") as name:
        folder = Path(name)
        files = write_files(folder, classes=arguments.classes, shots=shots[-1], test=arguments.test)
        num_test = arguments.classes * arguments.test
        result = measure(
            files,
            folder,
            settings,
            shots=shots,
            seeds=seeds,
            num_test=num_test,
            say=lambda line: print(line, flush=True),
        )
    result = {**vars(arguments), **result, "json": None}
    del result["json"]
    print_result(result)
    if arguments.json:
        write_report(arguments.json, "sweep_cost", machine, [result])
    return 0


if __name__ == "__main__":
    sys.exit(main())
