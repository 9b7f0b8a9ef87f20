"""Run folders of every kind, for tests of the page."""

import shutil
from pathlib import Path
from typing import Any

from amu_raft.json_file import write_json_file
from experiments.results.run_folders import Run, read_runs
from tests.experiments.results.example_runs import write_example_run

NASTY = "<script>document.title='owned'</script>"
ORACLE = {"final_model": "best_test", "selected_on": "test", "views": "8", "oracle": True}
TUNING = {
    "on": "validation",
    "method": "AMU",
    "axes": {"fusion_alpha": [0.5, 1.0, 2.0, 4.0], "uncertainty_power": [0.0, 0.4, 0.8]},
    "accuracy": [[60.0 + 3 * row + column for column in range(3)] for row in range(4)],
    "chosen": {"fusion_alpha": 4.0, "uncertainty_power": 0.8},
    "rule": "highest",
}


def write_example_runs(root: Path, shots: tuple[int, ...] = (1, 4), seeds: tuple[int, ...] = (1, 2)) -> list[Run]:
    """Write two data sets with three trainers, with runs that failed, used test labels or lost their images.

    digits/AMU was tuned; shapes/AMU was chosen on test images and its first seed has lost its images; the only run of
    shapes/RAFT failed; that of digits/RAFT at the most shots is missing.
    """
    for dataset in ("digits", "shapes"):
        for seed in seeds:
            write_run(root, dataset, "ZeroshotCLIP", 0, seed)
            for number in shots:
                write_run(root, dataset, "AMU", number, seed, **_changes(dataset))
                write_run(root, "digits", "RAFT", number, seed)
    shutil.rmtree(run_folder(root, "shapes", "AMU", shots[-1], seeds[0]) / "images")
    failed = run_folder(root, "shapes", "RAFT", shots[0], seeds[-1])
    error = f"OutOfMemoryError: {NASTY} while reading {root}/secret place/x.png"
    write_failure(failed, error, trainer="RAFT", dataset="shapes", num_shots=shots[0], seed=seeds[-1])
    shutil.rmtree(run_folder(root, "digits", "RAFT", shots[-1], seeds[-1]))
    return read_runs([root])


def write_run(root: Path, dataset: str, trainer: str, shots: int, seed: int, **changes: Any) -> Path:
    """Write one finished run where train.py would, and return its folder."""
    folder = run_folder(root, dataset, trainer, shots, seed)
    write_example_run(folder, trainer, dataset=dataset, num_shots=shots, seed=seed, **changes)
    return folder


def write_failure(folder: Path, error: str, **known: Any) -> None:
    """Write what a run leaves that stopped with an error."""
    when = {"config": "tiny", "backbone": "tiny", "when": "2026-01-02T03:04:05+00:00"}
    write_json_file({"schema": 1, "error": error, **known, **when}, folder / "failure.json")


def run_folder(root: Path, dataset: str, trainer: str, shots: int, seed: int) -> Path:
    """Return the folder of a run, as train.py names it."""
    return root / dataset / trainer / f"tiny_{shots}shots" / f"seed{seed}"


def _changes(dataset: str) -> dict[str, Any]:
    return {"protocol": ORACLE} if dataset == "shapes" else {"tuning": TUNING}
