"""What benchmarks share: tasks that take turns, agreement before timing, spreads, and the machine in the report."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from amu_raft.json_file import write_json_file


class Spread(NamedTuple):
    """Smallest, middle and largest of some figures."""

    min: float
    median: float
    max: float


def spread(figures: Sequence[float]) -> Spread:
    """Return the smallest, the middle and the largest figure."""
    return Spread(min(figures), statistics.median(figures), max(figures))


def alternate(
    tasks: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    device: torch.device | str = "cpu",
    after_round: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Let tasks take turns, so that what else the machine does meets all of them alike.

    Args:
        tasks: What to time, by name.
        rounds: How often each task is timed.
        warm_up: Rounds before these that are not timed.
        device: Where the tasks run; what they have started on a CUDA device is waited for, and counts.
        after_round: Called after every round, the warm-up ones too; its time does not count.

    Returns:
        Seconds of each task in each timed round.
    """
    finish: Callable[[], object] = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(warm_up + rounds):
        for name, task in tasks.items():
            finish()
            start = time.perf_counter()
            task()
            finish()
            seconds[name].append(time.perf_counter() - start)
        after_round()
    return {name: figures[warm_up:] for name, figures in seconds.items()}


def ratios(baseline: Sequence[float], other: Sequence[float]) -> Spread:
    """Return how many times longer the baseline took, round by round."""
    return spread([slow / fast for slow, fast in zip(baseline, other, strict=True)])


def check_agreement(
    expected: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    *,
    tolerance: float,
    scales: Mapping[str, float] | None = None,
) -> float:
    """Check that two ways of computing the same tensors agree before anybody times them.

    Args:
        expected: Tensors by name.
        found: The same from the other way.
        tolerance: Largest norm of a difference, relative to the norm of the expected tensor.
        scales: Norms to use in place of the expected tensor's own, for tensors that are zero in theory.

    Returns:
        The largest relative difference.

    Raises:
        RuntimeError: Naming the tensor that differs, or those that only one side has.
    """
    if odd := expected.keys() ^ found.keys():
        raise RuntimeError(f"Only one side computes {', '.join(sorted(odd))}")
    worst = 0.0
    for name, wanted in expected.items():
        norm = (scales or {}).get(name) or float(wanted.double().norm())
        error = float((found[name].double() - wanted.double()).norm()) / norm if norm else float("inf")
        if not error <= tolerance:  # a NaN fails too
            raise RuntimeError(f"The two sides differ in {name} by {error:.2g} of its norm; {tolerance:.2g} is allowed")
        worst = max(worst, error)
    return worst


def describe_machine(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what figures depend on: processor, its cores and load, threads, versions, and the accelerator."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_report(path: Path, benchmark: str, machine: dict[str, Any], results: Sequence[dict[str, Any]]) -> None:
    """Write what a benchmark measured as JSON.

    Raises:
        OSError: If the file cannot be written.
    """
    write_json_file({"benchmark": benchmark, "machine": machine, "results": list(results)}, path)
