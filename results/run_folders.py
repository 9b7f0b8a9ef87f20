"""Find run folders and read what each of them says, from result.json or else from CoOp-style logs."""

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

KEYWORDS = ("accuracy", "macro_f1", "error")
TRAINING_ENDS = frozenset({"Finish training", "Finished training"})  # the second is the text of older toolboxes
TEST_ENDS = frozenset({"=> result"})
SCHEMA = 1


class Label(NamedTuple):
    """What the seeds of one row have in common."""

    dataset: str
    subset: str  # classes: "all", "base" or "new"
    trainer: str
    config: str
    shots: int  # -1: not known


@dataclass(frozen=True)
class Run:
    """One run folder; ``scores`` is empty unless the run finished. Percentages throughout."""

    folder: Path
    label: Label
    seed: int | None
    scores: dict[str, float] = field(default_factory=dict)
    zero_shot: float | None = None
    oracle: bool = False


def find_run_folders(paths: Sequence[Path]) -> list[Path]:
    """Return every folder at or below the paths that holds a run, or is named as one is ("seed3"), sorted.

    Raises:
        FileNotFoundError: If a path is no folder, or there are no runs.
    """
    found: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is no folder; give a folder of runs, such as output")
        folders = (folder.absolute() for folder in (path, *path.rglob("*")) if folder.is_dir())
        found |= {
            folder
            for folder in folders
            if _named_by_seed(folder) or (folder / "result.json").is_file() or log_files(folder)
        }
    if not found:
        names = ", ".join(map(str, paths))
        raise FileNotFoundError(f"no runs below {names}; expected folders with result.json or log.txt")
    return sorted(found)


def _named_by_seed(folder: Path) -> re.Match[str] | None:
    return re.fullmatch(r"seed(\d+)", folder.name)


def log_files(folder: Path) -> list[Path]:
    """Return log.txt and the log.txt-<time> files of later starts in the same folder, newest first."""
    return sorted((path for path in folder.glob("log.txt*") if path.is_file()), reverse=True)


def read_run(folder: Path, ends: frozenset[str]) -> Run:
    """Read one run folder; a damaged result.json is named on stderr and makes it an unfinished run.

    Args:
        folder: The run folder.
        ends: Lines of which one must appear in a log before its accuracy counts.
    """
    path = folder / "result.json"
    if path.is_file():
        try:
            return _from_result(folder, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, LookupError) as error:
            print(f"{path} is damaged, counted as unfinished: {type(error).__name__}: {error}", file=sys.stderr)
            return _from_logs(folder, [], ends)
    return _from_logs(folder, [path.read_text(encoding="utf-8", errors="replace") for path in log_files(folder)], ends)


def _from_result(folder: Path, result: dict[str, Any]) -> Run:
    if result["schema"] != SCHEMA:
        raise ValueError(f"schema {result['schema']!r} is not {SCHEMA}")
    dataset, subset, trainer, config = (
        str(result[key]) for key in ("dataset", "subsample_classes", "trainer", "config")
    )
    label, seed = Label(dataset, subset, trainer, config, int(result["num_shots"])), int(result["seed"])
    if result["status"] != "finished":
        return Run(folder, label, seed)
    accuracy, macro_f1, zero_shot = result["accuracy"], result["macro_f1"], result["zero_shot_accuracy"]
    if not all(math.isfinite(value) for value in (accuracy, macro_f1, zero_shot or 0.0)):
        raise ValueError("a score is no finite number")
    scores = {"accuracy": accuracy, "macro_f1": macro_f1, "error": 100 - accuracy}
    return Run(folder, label, seed, scores, zero_shot, bool(result["protocol"]["oracle"]))


def _from_logs(folder: Path, logs: Sequence[str], ends: frozenset[str]) -> Run:
    """Read CoOp-style logs, newest first: the newest one that finished counts."""
    header = logs[0] if logs else ""
    seed = _named_by_seed(folder) or re.search(r"^seed: (\d+)\s*$", header, re.MULTILINE)
    scores = next(filter(None, (scores_in_log(log, ends) for log in logs)), {})
    return Run(folder, label_from_path(folder, header), int(seed[1]) if seed else None, scores)


def scores_in_log(log: str, ends: frozenset[str]) -> dict[str, float]:
    """Return the last scores that a log prints after its first end line, or nothing if it has no such line."""
    lines = log.splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() in ends), len(lines))
    tail = "\n".join(lines[start:])
    matches = {name: re.findall(rf"\* {name}: ([.\deE+-]+)%", tail) for name in KEYWORDS}
    return {name: float(values[-1]) for name, values in matches.items() if values} if matches["accuracy"] else {}


def label_from_path(folder: Path, log: str) -> Label:
    """Name a run by its folder, in this project's or CoOp's layouts, else by the arguments that its log begins with."""
    parts = folder.parent.parts if _named_by_seed(folder) else folder.parts
    subset = _in_log("SUBSAMPLE_CLASSES", log) or "all"
    for position in range(len(parts) - 1, 1, -1):
        before, rest = parts[position - 2], parts[position + 1 :]
        if match := re.fullmatch(r"(.+)_(\d+)shots", parts[position]):
            return Label(before, subset, parts[position - 1], "/".join((match[1], *rest)), int(match[2]))
        if rest and (match := re.fullmatch(r"shots_(\d+)", parts[position])):
            half = re.fullmatch(r"(?:train|test)_(base|new)", before)
            return Label(parts[position - 1], half[1] if half else subset, rest[0], "/".join(rest[1:]), int(match[1]))
    dataset, config = (Path(_in_log(key, log)).stem for key in ("dataset_config_file", "config_file"))
    shots = int(_in_log("NUM_SHOTS", log) or -1)
    return Label(dataset or "/".join(parts[-2:]), subset, _in_log("trainer", log) or "?", config or "?", shots)


def _in_log(key: str, log: str) -> str:
    match = re.search(rf"^\s*{key}: *(\S+)\s*$", log, re.MULTILINE)
    return match[1] if match else ""
