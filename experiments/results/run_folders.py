"""Find run folders and read what each of them says, from result.json or else from CoOp-style logs."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.results.coop_logs import (
    KEYWORDS,
    TEST_ENDS,
    TRAINING_ENDS,
    evaluations,
    last_error,
    log_files,
    named_in_log,
    progress,
)
from experiments.results.labels import ZERO_SHOT_TRAINER, Label, label_from_path, seed_in, trained_on_of, whole
from experiments.results.plausible import implausible

__all__ = [
    "KEYWORDS",
    "TEST_ENDS",
    "TRAINING_ENDS",
    "ZERO_SHOT_TRAINER",
    "Label",
    "Run",
    "find_run_folders",
    "read_run",
    "read_runs",
]

SCHEMA = 1
FAILURE_FILE = "failure.json"


@dataclass(frozen=True)
class Run:
    """One run folder; ``scores`` is empty unless the run finished. Percentages throughout.

    Attributes:
        status: "finished", "failed" (it says why), "unfinished" or "damaged" (its figures cannot be believed).
        error: Why it is not finished, in one line.
        protocol: result.json's; empty for logs.
        result: The whole result.json; empty for logs and files that cannot be read.
        remarks: What a reader of its figures should know.
    """

    folder: Path
    label: Label
    seed: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    zero_shot: float | None = None
    oracle: bool = False
    status: str = "unfinished"
    error: str = ""
    protocol: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def read_runs(paths: Sequence[Path], ends: frozenset[str] = TRAINING_ENDS) -> list[Run]:
    """Read every run at or below some folders.

    Raises:
        FileNotFoundError: If a path is no folder, or there are no runs.
    """
    return [read_run(folder, ends) for folder in find_run_folders(paths)]


def find_run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return every folder at or below the paths that holds a run, or is named as one is ("seed3"), sorted.

    Raises:
        FileNotFoundError: If a path is no folder, or there are no runs.
    """
    found: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is no folder; give a folder of runs, such as output")
        folders = [folder.absolute() for folder in (path, *path.rglob("*")) if folder.is_dir()]
        runs = {folder for folder in folders if _holds_run(folder)}
        above = {parent for folder in runs for parent in folder.parents}
        found |= runs | {folder for folder in folders if seed_in(folder.name) is not None and folder not in above}
    if not found:
        names = ", ".join(map(str, paths))
        raise FileNotFoundError(f"no runs below {names}; expected folders with result.json or log.txt")
    return sorted(found)


def _holds_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("result.json", FAILURE_FILE)) or bool(log_files(folder))


def read_run(folder: Path, ends: frozenset[str] = TRAINING_ENDS) -> Run:
    """Read one run folder; nothing that lies in it ends the reading of the others.

    Args:
        folder: The run folder.
        ends: Lines of which one must appear in a log before its accuracy counts.
    """
    path = folder / "result.json"
    try:
        logs = [log.read_text(encoding="utf-8", errors="replace") for log in log_files(folder)]
    except OSError as error:
        problem = _one_line(f"its log cannot be read: {error}")
        return Run(folder, label_from_path(folder, ""), status="damaged", error=problem)
    if not path.is_file():
        return _with_failure(_from_logs(folder, logs, ends))
    try:
        return _with_failure(_from_result(folder, json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        problem = _one_line(f"result.json is damaged: {type(error).__name__}: {error}")
        named = _from_logs(folder, logs, frozenset())
        return replace(named, scores={}, status="damaged", error=problem)


def _with_failure(run: Run) -> Run:
    """Add what failure.json says; a result that is older than the failed start still stands."""
    path = run.folder / FAILURE_FILE
    if not path.is_file():
        return run
    try:
        failure = json.loads(path.read_text(encoding="utf-8"))
        error = _one_line(failure["error"])
        if run.scores:
            return replace(run, remarks=(*run.remarks, f"a later start failed: {error}"))
        given = {
            "dataset": failure.get("dataset"),
            "trainer": failure.get("trainer"),
            "config": failure.get("config"),
            "backbone": failure.get("backbone"),
            "shots": failure.get("num_shots"),
            "subset": failure.get("subsample_classes"),
        }
        label = run.label._replace(**{name: value for name, value in given.items() if value is not None})
        seed = run.seed if failure.get("seed") is None else int(failure["seed"])
        return replace(run, label=label, seed=seed, status="failed", error=error)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as problem:
        error = _one_line(f"{FAILURE_FILE} is damaged: {type(problem).__name__}: {problem}")
        return run if run.scores else replace(run, status="failed", error=error)


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())


def _from_result(folder: Path, result: dict[str, Any]) -> Run:
    if result["schema"] != SCHEMA:
        raise ValueError(f"schema {result['schema']!r} is not {SCHEMA}")
    dataset, subset, trainer, config = (
        str(result[key]) for key in ("dataset", "subsample_classes", "trainer", "config")
    )
    backbone, source = str(result.get("backbone") or ""), trained_on_of(folder, trainer, dataset)
    label = Label(dataset, subset, trainer, config, int(result["num_shots"]), backbone, source)
    run = Run(folder, label, int(result["seed"]), result=result)
    if result["status"] != "finished":
        status = _one_line(result["status"])
        return replace(run, error="trained, but never tested" if status == "trained" else f"result.json says {status}")
    accuracy, macro_f1, zero_shot = result["accuracy"], result["macro_f1"], result["zero_shot_accuracy"]
    counts = {name: result[name] for name in ("total", "correct") if name in result}
    scores = {"accuracy": accuracy, "macro_f1": macro_f1}
    if zero_shot is not None:
        scores["zero_shot_accuracy"] = zero_shot
    if problem := implausible(scores | counts):
        return replace(run, status="damaged", error=problem)
    return replace(
        run,
        scores={"accuracy": accuracy, "macro_f1": macro_f1, "error": 100 - accuracy},
        zero_shot=zero_shot,
        oracle=bool(result["protocol"]["oracle"]),
        status="finished",
        protocol=dict(result["protocol"]),
    )


def _from_logs(folder: Path, logs: Sequence[str], ends: frozenset[str]) -> Run:
    """Read CoOp-style logs, newest first: the newest one that finished counts."""
    if any(re.fullmatch(r"test_(base|new)|evaluation|.+_(xd|eval)", part) for part in folder.parts):
        ends = ends | TEST_ENDS  # layouts in which nothing is trained
    header = logs[0] if logs else ""
    numbers = [number for part in folder.parts if (number := seed_in(part)) is not None]
    seed = numbers[-1] if numbers else whole(named_in_log("seed", header))
    run = Run(folder, label_from_path(folder, header), None if seed < 0 else seed)
    found = next(filter(None, (evaluations(log, ends) for log in logs)), [])
    if not found:
        error = last_error(header)
        return replace(run, status="failed" if error else "unfinished", error=error or _how_far(folder, header))
    if problem := implausible(found[-1]):
        return replace(run, status="damaged", error=problem)
    scores = {name: value for name, value in found[-1].items() if name in KEYWORDS}
    scores.setdefault("error", 100 - scores["accuracy"])
    different = len({scores["accuracy"] for scores in found}) > 1
    remarks = (f"{len(found)} evaluations that differ; the last one counts",) if different else ()
    return replace(run, scores=scores, status="finished", remarks=remarks)


def _how_far(folder: Path, log: str) -> str:
    """Say how far a run came that ended neither well nor with an error, from its newest log."""
    if not (files := log_files(folder)):
        return "nothing in the folder"
    if not log.strip():
        return f"{files[0].name} is empty"
    tested = "no end of training in its log; --test-log reads logs of test-only runs" if "=> result" in log else ""
    return ", ".join(filter(None, (progress(log), tested))) or "no epoch finished"
