"""Own images in a list: CSV with a header or JSON lines, of path, label and perhaps split."""

import csv
import io
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amu_raft.images.listing import PARTS, UNDIVIDED, Classes, Listing
from amu_raft.wording import shortened

COLUMNS = ("path", "label", "split")
DELIMITERS = ",;\t"
LIST_ENDINGS = (".csv", ".tsv", ".jsonl")
Cells = Mapping[str, Any]


class DamagedListError(ValueError):
    """A list that cannot be used; the message is the first of its faults.

    Attributes:
        faults: All of them, one line each.
    """

    def __init__(self, faults: list[str]) -> None:
        more = f" (and {len(faults) - 1} more lines with faults)" if len(faults) > 1 else ""
        super().__init__(faults[0] + more)
        self.faults = faults


@dataclass
class Reading:
    """A list on its way from lines to images: what was read, and what is wrong."""

    path: Path
    rows: list[tuple[int, str, str, Path]] = field(default_factory=list)  # line, part or "", label, image
    lines: dict[str, int] = field(default_factory=dict)  # line by image
    faults: list[str] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)

    def fault(self, line: int, text: str) -> None:
        """Note what is wrong with a line."""
        self.faults.append(f"{self.path}, line {line}: {text}")


def list_rows(path: Path) -> Listing:
    """Read a list. Paths are absolute, or relative to the list's folder and below it.

    Raises:
        DamagedListError: If a line is wrong, or only some lines have a split.
    """
    reading = Reading(path)
    text = _text_of(path)
    for line, cells in _json_lines(text, reading) if path.suffix.lower() == ".jsonl" else _csv_lines(text, reading):
        _read_row(line, cells, reading)
    if len({part == "" for _, part, _, _ in reading.rows}) > 1:
        line = next(line for line, part, _, _ in reading.rows if not part)
        reading.fault(line, "no split, though other lines have one; give it to all lines or to none")
    if reading.faults or not reading.rows:
        raise DamagedListError(reading.faults or [f"{path} lists no images"])
    if reading.unread:
        warnings.warn(f"{path}: columns that are not read: {shortened(reading.unread)}", stacklevel=2)
    return Listing("list", _by_part(reading))


def _by_part(reading: Reading) -> dict[str, Classes]:
    parts: dict[str, Classes] = {}
    for _, part, label, image in reading.rows:
        parts.setdefault(part or UNDIVIDED, {}).setdefault(label, []).append(image)
    if UNDIVIDED not in parts and "train" not in parts:
        raise DamagedListError([f"{reading.path} has no line of the split train"])
    # Sorted, so that the order of lines decides nothing.
    return {part: {label: sorted(classes[label]) for label in sorted(classes)} for part, classes in parts.items()}


def _text_of(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DamagedListError([f"{path}, line {line}: no text in UTF-8; save the list in that encoding"]) from None


def _csv_lines(text: str, reading: Reading) -> Iterator[tuple[int, Cells]]:
    first = next((line for line in re.split("[\r\n]", text) if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(cells, reader.line_num, reading)
            elif len(cells) != len(header):
                reading.fault(reader.line_num, f"{len(cells)} cells, but the header has {len(header)}")
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        reading.fault(reader.line_num, f"no CSV ({error})")


def _header(cells: list[str], line: int, reading: Reading) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    missing = [name for name in ("path", "label") if names.count(name) != 1]
    if missing or names.count("split") > 1:
        shown = ",".join(cells)[:80]
        raise DamagedListError(
            [f"{reading.path}, line {line}: the header {shown!r} is not path,label or path,label,split (each once)"]
        )
    return names


def _json_lines(text: str, reading: Reading) -> Iterator[tuple[int, Cells]]:
    # Not splitlines, which also parts at letters that JSON allows within a text.
    for number, line in enumerate(re.split("\r\n?|\n", text), start=1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError):
            cells = None
        if isinstance(cells, dict):
            yield number, cells
        else:
            reading.fault(number, f"{line.strip()[:80]!r} is no JSON object with path and label")


def _read_row(line: int, cells: Cells, reading: Reading) -> None:
    """Take a row over, or note why not."""
    reading.unread.update(name for name in cells if name and name not in COLUMNS)
    texts = {name: _text(cells.get(name, "" if name == "split" else None)) for name in COLUMNS}
    for name, text in texts.items():
        if text is None:
            reading.fault(line, f"{name} {cells[name]!r} is no text" if name in cells else f"no {name}")
            return
    path, label, split = (str(texts[name]) for name in COLUMNS)
    part = PARTS.get(split.lower(), "")
    if not label:
        reading.fault(line, "the label is empty")
    elif split and not part:
        reading.fault(line, f"unknown split {split!r}; accepted are {', '.join(PARTS)}")
    elif problem := _image_problem(path, reading.path.parent):
        reading.fault(line, problem)
    else:
        image = _image(path, reading.path.parent)
        earlier = reading.lines.setdefault(str(image), line)
        if earlier != line:
            reading.fault(line, f"{path!r} is listed on line {earlier} already")
        else:
            reading.rows.append((line, part, label, image))


def _text(value: Any) -> str | None:
    """Return a cell as text; numbers are taken as labels, other things of JSON are not."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else None


def _image(path: str, folder: Path) -> Path:
    return Path(os.path.normpath(folder / path))


def _image_problem(path: str, folder: Path) -> str:
    """Say why a path cannot be used; empty if it can."""
    if not path:
        return "the path is empty"
    if "\0" in path:
        return f"{path!r} is no path"
    if not Path(path).is_absolute() and Path(os.path.normpath(path)).parts[:1] == (os.pardir,):
        return f"{path!r} leaves the folder of the list; give an absolute path, or move the list"
    image = _image(path, folder)
    try:
        if image.is_file():
            return ""
        state = "is no file" if image.exists() else "does not exist"
    except (OSError, UnicodeEncodeError) as error:  # such as a name that is too long
        return f"{path[:80]!r} cannot be read ({getattr(error, 'strerror', None) or error})"
    return f"image {path!r} {state}"
