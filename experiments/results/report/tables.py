"""Tables as the page shows them: texts beside the values that they are sorted by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# "74.73 ± 4.05", "3/5", "91.2†", "12 s": sorted by the first number. "16shots" and "1.2.3" are names.
_MINUS = "\N{MINUS SIGN}"
_NUMBER = re.compile(rf"([-+{_MINUS}]?\d+(?:,\d{{3}})*(?:\.\d+)?(?:e[-+]?\d+)?)(?=$|\s|[±/†*(%])", re.IGNORECASE)
_MISSING = re.compile(r"(-|\?|not known)?( \(.*\))?")  # "- (0/3)": none of three seeds finished


@dataclass(frozen=True)
class Entry:
    """A cell of a table; ``order`` is None where there is nothing to compare, which sorts last either way."""

    text: str
    order: float | str | None
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """A table with its caption; rows of ``foot`` stay below however the others are sorted."""

    caption: str
    headers: tuple[str, ...]
    numeric: tuple[bool, ...]
    body: tuple[tuple[Entry, ...], ...]
    foot: tuple[tuple[Entry, ...], ...] = ()
    notes: tuple[str, ...] = ()


def table(
    caption: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    foot: Sequence[Sequence[str]] = (),
    notes: Sequence[str] = (),
) -> Table:
    """Build a table from texts: a column in which every text begins with a number is sorted by that number.

    Raises:
        ValueError: If a row has not as many cells as there are headers.
    """
    for row in (*rows, *foot):
        if len(row) != len(headers):
            raise ValueError(f"a row of table {caption!r} has {len(row)} cells for {len(headers)} columns: {list(row)}")
    numeric = tuple(_is_numeric([row[column] for row in rows]) for column in range(len(headers)))
    body, last = (
        tuple(tuple(_entry(text, number) for text, number in zip(row, numeric, strict=True)) for row in part)
        for part in (rows, foot)
    )
    return Table(caption, tuple(headers), numeric, body, last, tuple(notes))


def leading_number(text: str) -> float | None:
    """Return the number that a printed text begins with, None if it begins with none."""
    match = _NUMBER.match(text.strip())
    return float(match[1].replace(",", "").replace(_MINUS, "-")) if match else None


def _is_numeric(texts: Sequence[str]) -> bool:
    known = [text for text in texts if not _MISSING.fullmatch(text.strip())]
    return bool(known) and all(leading_number(text) is not None for text in known)


def _entry(text: str, numeric: bool) -> Entry:
    if _MISSING.fullmatch(text.strip()):
        return Entry(text, None)
    return Entry(text, leading_number(text) if numeric else text.casefold())
