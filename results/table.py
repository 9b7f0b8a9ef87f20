"""Print rows as a table for people, or as CSV or JSON for programs."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from results.rows import Row

FORMATS = ("github", "plain", "latex", "csv", "json")
DAGGER = "†"


def format_rows(rows: Sequence[Row], keyword: str, style: str, *, ci95: bool) -> str:
    """Format rows as a table for people, or as CSV or JSON with one entry per number."""
    if style in ("csv", "json"):
        entries = [_entry(row, keyword, ci95=ci95) for row in rows]
        if style == "json":
            return json.dumps(entries, indent=2)
        stream = io.StringIO()
        writer = csv.DictWriter(stream, entries[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(entries)
        return stream.getvalue().rstrip("\n")
    others = [name for name in ("accuracy", "macro_f1") if name != keyword]
    headers = ["data set", "trainer", "config", "shots", f"{keyword} ± {'ci95' if ci95 else 'std'}", *others]
    headers += ["zero-shot accuracy", "seeds", "missing or unfinished"]
    several = len({row.label for row in rows}) < len(rows)  # the same labels in two places: say which is which
    cells = [_cells(row, keyword, others) + ([_shown(row.folder)] if several else []) for row in rows]
    table = tabulate(cells, [*headers, "folder"] if several else headers, tablefmt=style, disable_numparse=True)
    note = f"\n{DAGGER} chosen with the help of test labels (oracle): no fair comparison with the others"
    return table + (note if any(row.oracle for row in rows) else "")


def _entry(row: Row, keyword: str, *, ci95: bool) -> dict[str, Any]:
    return {
        **row.label._asdict(),
        **row.means,
        f"{keyword}_{'ci95' if ci95 else 'std'}": row.spread,
        "zero_shot_accuracy": row.zero_shot,
        "seeds_finished": row.finished,
        "seeds_wanted": row.wanted,
        "problems": row.problems,
        "oracle": row.oracle,
        "folder": str(row.folder),
    }


def _cells(row: Row, keyword: str, others: Sequence[str]) -> list[str]:
    label = row.label
    score = _number(row.means[keyword]) + (f" ± {row.spread:.2f}" if row.spread is not None else "")
    return [
        label.dataset if label.subset == "all" else f"{label.dataset} ({label.subset})",
        label.trainer + DAGGER * row.oracle,
        label.config,
        str(label.shots) if label.shots >= 0 else "?",
        score,
        *(_number(row.means[name]) for name in others),
        _number(row.zero_shot),
        f"{row.finished}/{row.wanted}",
        row.problems,
    ]


def _shown(folder: Path) -> str:
    """Return a folder below the current one by its short name, any other in full."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
