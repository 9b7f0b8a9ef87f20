"""What is said about a picture, and the three forms in which it is written: table, CSV, JSON lines."""

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from amu_raft.wording import printable

_WIDEST = 32  # columns of a class name in a table
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take for the start of a formula


class Guess(NamedTuple):
    """A class, its number and its probability in [0, 1]."""

    name: str
    label: int
    probability: float


@dataclass(frozen=True)
class Row:
    """What is said about one picture.

    Attributes:
        image: Its path, as it was given.
        adapted: The likeliest classes of the adapted model, likeliest first, with calibrated probabilities; empty if
            the picture could not be read.
        zero_shot: Those of CLIP as it is.
        numbers: The method's own numbers of it, by name.
        overlay: Path of the picture's explanation, or "".
        error: Why it could not be read, or "".
    """

    image: str
    adapted: Sequence[Guess] = ()
    zero_shot: Sequence[Guess] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    overlay: str = ""
    error: str = ""


class RowWriter(ABC):
    """Write rows one by one.

    Args:
        stream: Where they go.
        topk: Number of guesses in a row.
        explained: Whether rows have overlays.
    """

    def __init__(self, stream: IO[str], *, topk: int, explained: bool) -> None:
        self.stream = stream
        self.topk = topk
        self.explained = explained
        self.begin()

    def begin(self) -> None:  # noqa: B027  nothing by default
        """Write what stands above the rows."""

    @abstractmethod
    def write(self, row: Row) -> None:
        """Write one row."""


class JsonLines(RowWriter):
    """One JSON object per line: image, error, adapted, zero_shot, the method's numbers, overlay."""

    def write(self, row: Row) -> None:
        """Write one row."""
        content: dict[str, object] = {
            "image": row.image,
            "error": row.error or None,
            "adapted": [_as_object(guess) for guess in row.adapted],
            "zero_shot": [_as_object(guess) for guess in row.zero_shot],
        }
        content |= {name: value for name, value in row.numbers.items() if name not in content}
        if self.explained:
            content["overlay"] = row.overlay or None
        self.stream.write(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")


def _as_object(guess: Guess) -> dict[str, object]:
    return {"class": guess.name, "label": guess.label, "probability": round(guess.probability, 6)}


class CommaSeparated(RowWriter):
    """One line per picture, one column per place of a class and of its probability."""

    def begin(self) -> None:
        """Write the names of the columns."""
        self.rows = csv.writer(self.stream, lineterminator="\n")
        places = range(1, self.topk + 1)
        columns = ["image", "error"]
        for prefix in ("", "zero_shot_"):
            columns += [f"{prefix}{what}_{place}" for place in places for what in ("class", "probability")]
        self.rows.writerow([*columns, *(["overlay"] if self.explained else [])])

    def write(self, row: Row) -> None:
        """Write one row."""
        cells = [path_cell(row.image), text_cell(row.error)]
        for guesses in (row.adapted, row.zero_shot):
            for place in range(self.topk):
                guess = guesses[place] if place < len(guesses) else None
                cells += [text_cell(guess.name), f"{guess.probability:.6f}"] if guess else ["", ""]
        self.rows.writerow([*cells, *([path_cell(row.overlay)] if self.explained else [])])


def path_cell(path: str) -> str:
    """Return a path that no spreadsheet takes for a formula and that still leads to the same file."""
    return f"./{path}" if path.startswith(_FORMULA) else path


def text_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class Table(RowWriter):
    """For reading on a terminal: the picture's name, then its classes with CLIP's beside them."""

    def begin(self) -> None:
        """Say what the two columns are."""
        self.stream.write(f"    {'adapted':{_WIDEST}}{'':10}zero-shot CLIP\n")

    def write(self, row: Row) -> None:
        """Write one row, of several lines."""
        self.stream.write(f"{printable(row.image)}\n")
        if row.error:
            self.stream.write(f"    error: {printable(row.error)}\n")
        for ours, theirs in zip(row.adapted, row.zero_shot, strict=True):
            self.stream.write(f"    {_column(ours)}   {_column(theirs)}\n")
        if row.overlay:
            self.stream.write(f"    see {printable(row.overlay)}\n")


def _column(guess: Guess) -> str:
    name = printable(guess.name)
    name = name if len(name) <= _WIDEST else f"{name[: _WIDEST - 3]}..."
    return f"{name:{_WIDEST}}{100 * guess.probability:5.1f} %"


WRITERS: dict[str, type[RowWriter]] = {"table": Table, "csv": CommaSeparated, "jsonl": JsonLines}
