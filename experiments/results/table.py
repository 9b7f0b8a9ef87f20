"""Sections of a report: tables with notes for people, entries for programs; and their forms."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from experiments.results.cells import DAGGER

FORMATS = ("github", "plain", "latex", "csv", "json")
ORACLE_NOTE = f"{DAGGER} chosen with the help of test labels (oracle): no fair comparison with the others"
_IN_LATEX = {"±": r"$\pm$", DAGGER: r"\dag{}", "‡": r"\ddag{}"}


@dataclass(frozen=True)
class Section:
    """One table with what must be read beside it.

    Attributes:
        kind: What an entry is, for programs: "cell", "average", "base_to_new", "paired" or "comparison".
        title: Heading; "" for the first table.
        headers: Names of the columns.
        rows: Cells as printed.
        notes: Lines below the table.
        entries: The same and more, a number a field, for programs.
    """

    kind: str
    title: str
    headers: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)


def format_sections(sections: Sequence[Section], style: str) -> str:
    """Return sections in one of FORMATS.

    JSON is one list of entries, CSV one table with the columns of all kinds of entries; ``kind`` tells them apart.
    """
    if style == "json":
        return json.dumps([entry for section in sections for entry in _entries(section)], indent=2, allow_nan=False)
    if style == "csv":
        return _as_csv([entry for section in sections for entry in _entries(section)])
    return "\n\n".join(_as_text(section, style) for section in sections)


def _entries(section: Section) -> list[dict[str, Any]]:
    return [{"kind": section.kind, **entry} for entry in section.entries]


def _as_csv(entries: Sequence[dict[str, Any]]) -> str:
    stream = io.StringIO()
    columns = list(dict.fromkeys(name for entry in entries for name in entry))
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        writer.writerow({name: _flat(value) for name, value in entry.items()})
    return stream.getvalue().rstrip("\n")


def _flat(value: Any) -> Any:
    return "; ".join(map(str, value)) if isinstance(value, list) else value


def _as_text(section: Section, style: str) -> str:
    name = _in_line(section.title, style)
    title = {"github": f"### {name}\n", "latex": f"% {name}"}.get(style, name)
    headers, *rows = ([_in_cell(text, style) for text in row] for row in (section.headers, *section.rows))
    table = tabulate(rows, headers, tablefmt=style, disable_numparse=True) if rows else ""
    sign = "%" if style == "latex" else "-"
    notes = [f"{sign} {_in_line(note, style)}" for note in section.notes]
    if style == "latex":
        for sign, command in _IN_LATEX.items():
            table = table.replace(sign, command)
    else:
        notes = ["", *notes] if notes and table else notes
    return "\n".join([title] * bool(section.title) + [table] * bool(table) + notes)


def _in_line(text: str, style: str) -> str:
    """Return a text in one line, in Markdown without HTML: names from data may hold anything."""
    line = " ".join(text.splitlines())
    return line.replace("<", "&lt;") if style == "github" else line


def _in_cell(text: str, style: str) -> str:
    """Return a text as a cell; only Markdown's tables have bars between cells."""
    line = _in_line(text, style)
    return line.replace("|", r"\|") if style == "github" else line


def percent(value: float | None, *, signed: bool = False) -> str:
    """Return a percentage with two decimals, "-" for none."""
    if value is None:
        return "-"
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def with_spread(mean: float | None, spread: float | None, count: int | None = None) -> str:
    """Return a mean with its spread, where it has one, and how many seeds it is of."""
    text = percent(mean) + (f" ± {spread:.2f}" if mean is not None and spread is not None else "")
    return text if count is None or mean is None else f"{text} ({count})"
