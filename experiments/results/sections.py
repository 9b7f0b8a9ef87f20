"""Everything that parse_results prints, as sections; the report page shows the same."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.results.averages import Average, averages
from experiments.results.base_to_new import base_to_new_section
from experiments.results.cells import Cell, gather_cells
from experiments.results.pairs import paired_section
from experiments.results.reference_file import read_references
from experiments.results.references import comparison_section
from experiments.results.rows import long_section, shots_section
from experiments.results.run_folders import Label, Run
from experiments.results.table import Section


def make_sections(
    runs: Sequence[Run],
    keyword: str = "accuracy",
    *,
    spread: str = "std",
    seeds: Iterable[int] | None = None,
    average: str = "eleven",
    references: Path | None = None,
    pair: tuple[str, str] | None = None,
    long: bool = False,
) -> list[Section]:
    """Return the main table, base-to-new where there are such runs, and what else is asked for.

    Args:
        runs: All runs.
        keyword: Score of the main table and of the pairs.
        spread: "std" or "ci95".
        seeds: Seeds that every cell should have; None means all that are found.
        average: "eleven", "present" or "none".
        references: File of published figures to put beside ours.
        pair: Two trainers to compare seed by seed.
        long: A row per number of shots in the main table, not a column.

    Raises:
        FileNotFoundError: If there is no such file of published figures.
        ValueError: If it is damaged, a trainer of the pair has no runs, or references are wanted for another score.
    """
    if references is not None and keyword != "accuracy":
        raise ValueError(f"--compare compares accuracies, the published score; not {keyword}")
    cells = gather_cells(runs, seeds)
    whole = [cell for cell in cells if cell.label.subset == "all"]
    means = _several(averages(whole, keyword, average))
    sections: list[Section | None] = [(long_section if long else shots_section)(cells, means, keyword, spread)]
    sections.append(base_to_new_section(cells, spread))
    if pair is not None:
        sections.append(paired_section(cells, *pair, keyword))
    if references is not None:
        published = read_references(references)
        sections.append(comparison_section(_of_accuracy(cells), averages(whole, "accuracy"), published, spread))
    return [section for section in sections if section is not None]


def _of_accuracy(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.values("accuracy")]


def _several(means: Sequence[Average]) -> list[Average]:
    """Leave out averages of rows that have just one data set at all: nobody takes them for a benchmark."""
    names: dict[tuple[Label, str], set[str]] = defaultdict(set)
    for mean in means:
        names[mean.label._replace(shots=0), mean.variant] |= {cell.label.dataset for cell in mean.cells}
    return [mean for mean in means if len(names[mean.label._replace(shots=0), mean.variant]) > 1]
