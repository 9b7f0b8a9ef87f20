"""What CoOp-style logs say of a run: its scores, whether it ended, and what its header calls it."""

import re
from collections.abc import Iterator
from pathlib import Path

KEYWORDS = ("accuracy", "macro_f1", "error")
TRAINING_ENDS = frozenset({"Finish training", "Finished training"})  # the second is the text of older toolboxes
TEST_ENDS = frozenset({"=> result"})


def log_files(folder: Path) -> list[Path]:
    """Return log.txt and the log.txt-<time> files of later starts in the same folder, newest first."""
    found = (path for path in folder.glob("log.txt*") if path.is_file())
    return sorted((path for path in found if re.fullmatch(r"log\.txt(-[\d-]+)?", path.name)), reverse=True)


def evaluations(log: str, ends: frozenset[str]) -> list[dict[str, float]]:
    """Return the scores of every evaluation after a log's first end line, in order; none if it has no such line.

    Evaluations of the validation images, which best_val prints every epoch, are left out. A score that is no number
    is NaN. Counts come as "total" and "correct".
    """
    if "eval_only: True" in log:  # the arguments that open a log: a test-only run never ends a training
        ends = ends | TEST_ENDS
    lines = [line.strip() for line in log.splitlines()]
    start = next((number for number, line in enumerate(lines) if line in ends), len(lines))
    splits = [line for line in lines[:start] if line.startswith("Evaluate on the *")]
    return list(_scored(splits[-1:] + lines[start:]))


def _scored(lines: list[str]) -> Iterator[dict[str, float]]:
    scores: dict[str, float] = {}
    validation = False
    for line in [*lines, "=> result"]:
        if line == "=> result" or line.startswith("Evaluate on the *"):
            if "accuracy" in scores and not validation:
                yield scores
            scores = {}
            validation = line == "Evaluate on the *val* set" or (validation and line == "=> result")
        elif match := re.search(r"\* (accuracy|macro_f1|error): (\S+?)%", line):
            scores[match[1]] = _number(match[2])
        elif match := re.fullmatch(r"\* (total|correct): ([\d,]+)", line):
            scores[match[1]] = float(match[2].replace(",", ""))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def last_error(log: str) -> str:
    """Return the last line of the last traceback that a log holds, "" if it holds none."""
    _, found, traceback = log.rpartition("Traceback (most recent call last):")
    lines = [line for line in traceback.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line)]
    return (errors[0] if errors else lines[-1].strip() if lines else "traceback without an error") if found else ""


def progress(log: str) -> str:
    """Return the last epoch that a log shows, "" if it shows none."""
    epochs = re.findall(r"epoch \[(\d+/\d+)\]", log)
    return f"epoch {epochs[-1]}" if epochs else ""


def named_in_log(key: str, log: str) -> str:
    """Return a value of the arguments or the configuration that a log begins with, "" if it is not there."""
    match = re.search(rf"^\s*{key}: *(\S+)\s*$", log, re.MULTILINE)
    return match[1] if match else ""


def backbone_in_log(log: str) -> str:
    """Return the backbone that a log's configuration names, "" if there is none."""
    match = re.search(r"^\s*BACKBONE:\s*\n(?:\s+(?!NAME)\w+:.*\n)*?\s+NAME: *(\S+)\s*$", log, re.MULTILINE)
    return match[1] if match else ""
