"""The main table: a row per data set, trainer, config and backbone, a column per number of shots."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from experiments.results.averages import Average
from experiments.results.cells import DAGGER, Cell, seed_of, shown_dataset, shown_trainer
from experiments.results.problems import (
    Row,
    average_notes,
    empty_notes,
    problem_notes,
    problems_of,
    rows_of,
    shots_name,
)
from experiments.results.run_folders import KEYWORDS
from experiments.results.table import ORACLE_NOTE, Section, percent, with_spread

SPREADS = {"std": "standard deviation", "ci95": "half-width of Student's 95 % interval"}


def shots_section(cells: Sequence[Cell], means: Sequence[Average], keyword: str, spread: str) -> Section:
    """Return the table with a column per number of shots; "-" stands for what is missing, and notes list it."""
    shots = sorted({cell.label.shots for cell in cells})
    by_shots = rows_of(cells)
    rows = [_shown(row, keyword, spread, shots) for row in by_shots]
    notes = [f"{keyword} in % ± {SPREADS[spread]} over seeds (number of finished seeds)"]
    if means:
        rows += _average_rows(means, spread, shots)
        notes += average_notes(means)
    if any(cell.oracle for cell in cells):
        notes.append(ORACLE_NOTE)
    notes += [*empty_notes(by_shots), *problem_notes(cells, keyword)]
    headers = ["data set", "trainer", "config", "backbone", *map(shots_name, shots), "zero-shot accuracy"]
    entries = [cell_entry(cell, keyword, spread) for cell in cells]
    entries += [average_entry(average, keyword, spread) for average in means]
    return Section("cell", "", headers, rows, notes, entries)


def long_section(cells: Sequence[Cell], means: Sequence[Average], keyword: str, spread: str) -> Section:
    """Return the table with a row per number of shots, and with the other scores beside the main one."""
    others = [name for name in ("accuracy", "macro_f1") if name != keyword]
    headers = ["data set", "trainer", "config", "shots", f"{keyword} ± {spread}", *others]
    headers += ["zero-shot accuracy", "seeds", "missing or unfinished"]
    section = shots_section(cells, means, keyword, spread)
    rows = [_long_row(cell, keyword, others, spread) for cell in cells]
    for mean in means:
        label, summary = mean.label, mean.summary
        trainer = shown_trainer(label.trainer, mean.variant, oracle=mean.oracle)
        score = with_spread(summary.mean, summary.spread(spread))
        blanks = ["-"] * (len(others) + 2)
        rows.append([label.dataset, trainer, label.config, str(label.shots), score, *blanks, ", ".join(mean.missing)])
    return replace(section, headers=headers, rows=rows)


def _long_row(cell: Cell, keyword: str, others: Sequence[str], spread: str) -> list[str]:
    label, summary = cell.label, cell.summary(keyword)
    return [
        shown_dataset(label),
        shown_trainer(label.trainer, cell.variant, oracle=cell.oracle),
        label.config,
        str(label.shots) if label.shots >= 0 else "?",
        with_spread(summary.mean, summary.spread(spread)),
        *(percent(cell.summary(name).mean) for name in others),
        percent(cell.zero_shot),
        f"{len(cell.runs)}/{cell.wanted}",
        problems_of(cell, keyword),
    ]


def _shown(row: Row, keyword: str, spread: str, shots: Sequence[int]) -> list[str]:
    label, cells = row.label, row.cells.values()
    trainer = shown_trainer(label.trainer, row.variant, oracle=False)
    zero_shot = next((cell.zero_shot for cell in cells if cell.zero_shot is not None), None)
    scores = [_score(row.cells.get(number), keyword, spread) for number in shots]
    return [shown_dataset(label), trainer, label.config, label.backbone or "?", *scores, percent(zero_shot)]


def _score(cell: Cell | None, keyword: str, spread: str) -> str:
    if cell is None:
        return "-"
    summary = cell.summary(keyword)
    seeds = f"{summary.count}/{cell.wanted}" if summary.count < cell.wanted else str(summary.count)
    text = with_spread(summary.mean, summary.spread(spread)) + DAGGER * cell.oracle
    return f"{text} ({seeds})"


def _average_rows(means: Sequence[Average], spread: str, shots: Sequence[int]) -> list[list[str]]:
    rows: dict[Any, dict[int, Average]] = defaultdict(dict)
    for average in means:
        rows[average.label._replace(shots=0), average.variant][average.label.shots] = average
    shown = []
    for (label, variant), by_shots in rows.items():
        trainer = shown_trainer(label.trainer, variant, oracle=False)
        scores = [_average_score(by_shots.get(number), spread) for number in shots]
        shown.append([shown_dataset(label), trainer, label.config, label.backbone or "?", *scores, "-"])
    return shown


def _average_score(average: Average | None, spread: str) -> str:
    if average is None or average.summary.mean is None:
        return "-"
    return with_spread(average.summary.mean, average.summary.spread(spread)) + DAGGER * average.oracle


def cell_entry(cell: Cell, keyword: str, spread: str) -> dict[str, Any]:
    """Return a cell as one flat record for programs."""
    summary = cell.summary(keyword)
    return {
        **cell.label._asdict(),
        "variant": cell.variant,
        **{name: cell.summary(name).mean for name in KEYWORDS},
        f"{keyword}_{spread}": summary.spread(spread),
        "zero_shot_accuracy": cell.zero_shot,
        "seeds_finished": len(cell.runs),
        "seeds_wanted": cell.wanted,
        "seeds": [seed_of(run) for run in cell.runs],
        "problems": problems_of(cell, keyword),
        "errors": [f"{seed_of(run)}: {run.status}: {run.error}" for run in cell.others],
        "oracle": cell.oracle,
        "folders": [str(run.folder) for run in (*cell.runs, *cell.others)],
    }


def average_entry(average: Average, keyword: str, spread: str) -> dict[str, Any]:
    """Return an average over data sets as one flat record for programs."""
    return {
        "kind": "average",
        **average.label._asdict(),
        "variant": average.variant,
        keyword: average.summary.mean,
        f"{keyword}_{spread}": average.summary.spread(spread),
        "seeds_finished": average.summary.count,
        "datasets": [cell.label.dataset for cell in average.cells if cell.values(keyword)],
        "missing_datasets": list(average.missing),
        "mixed_protocol": list(average.mixed),
        "oracle": average.oracle,
    }
