"""Read the file of published figures."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.results.plausible import implausible

SCHEMA = 1
SELECTIONS = ("test", "validation", "none", "not stated")


@dataclass(frozen=True)
class PublishedFigures:
    """What one source says about one method with one backbone; accuracies in percent by shots per class.

    Attributes:
        name: The method, as its source calls it.
        trainers: Trainer names under which a run is the same method.
        backbone: CLIP's backbone.
        trained_on: Data set of the model where it is not the one evaluated; "" otherwise.
        selected_on: Images on which the epoch or settings were chosen, one of SELECTIONS.
        accuracy: By data set, then shots.
        average_11: Mean over the eleven data sets, by shots.
        quality: How exactly the figures are known, such as "printed" or "drawn".
        average_quality: The same of the average, where it differs.
        source: Where they were published.
        note: What else a reader should know.
    """

    name: str
    trainers: tuple[str, ...]
    backbone: str
    trained_on: str
    selected_on: str
    accuracy: Mapping[str, Mapping[int, float]]
    average_11: Mapping[int, float]
    quality: str
    average_quality: str
    source: str
    note: str


@dataclass(frozen=True)
class References:
    """All published figures, and trainers of which none exist, with the reason."""

    figures: tuple[PublishedFigures, ...]
    unpublished: Mapping[str, str]


def read_references(path: Path) -> References:
    """Read a file of published figures; docs/results.md says what it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or a figure lacks its source or backbone or is no percentage.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file of published figures {path}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']!r} is not {SCHEMA}")
        figures = tuple(_figures(entry) for entry in content["figures"])
        unpublished = {str(name): str(why) for name, why in content.get("unpublished", {}).items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no file of published figures: {type(error).__name__}: {error}") from error
    return References(figures, unpublished)


def _figures(entry: Mapping[str, Any]) -> PublishedFigures:
    name = str(entry["name"])
    for key in ("backbone", "source"):
        if not entry[key]:
            raise ValueError(f"{name} has no {key}")
    if entry["selected_on"] not in SELECTIONS:
        raise ValueError(f"{name} was selected on {entry['selected_on']!r}, not one of {', '.join(SELECTIONS)}")
    accuracy = {str(dataset): _by_shots(name, row) for dataset, row in entry.get("accuracy", {}).items()}
    return PublishedFigures(
        name=name,
        trainers=tuple(map(str, entry["trainers"])),
        backbone=str(entry["backbone"]),
        trained_on=str(entry.get("trained_on", "")),
        selected_on=str(entry["selected_on"]),
        accuracy=accuracy,
        average_11=_by_shots(name, entry.get("average_11", {})),
        quality=str(entry["quality"]),
        average_quality=str(entry.get("average_quality", "")),
        source=str(entry["source"]),
        note=str(entry.get("note", "")),
    )


def _by_shots(name: str, row: Mapping[str, Any]) -> dict[int, float]:
    for shots, value in row.items():
        if problem := implausible({f"accuracy at {shots} shots": value}):
            raise ValueError(f"{name}: {problem}")
    return {int(shots): float(value) for shots, value in row.items()}
