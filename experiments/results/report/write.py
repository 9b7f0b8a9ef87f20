"""Collect what a page of results shows and write the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from amu_raft.whole_file import replace_file
from experiments.results.cells import DAGGER, Cell, gather_cells, seed_of, shown_dataset
from experiments.results.report.chosen_runs import looked_at
from experiments.results.report.host_paths import HostPaths, run_names
from experiments.results.report.mistakes import Gallery, gallery
from experiments.results.report.page import render_page
from experiments.results.report.page_size import PageSize
from experiments.results.report.plots import Plotter, accuracy_plots, plots_of_data_sets
from experiments.results.report.provenance import (
    cell_names,
    failures_table,
    protocol_table,
    remarks_table,
    runs_table,
    versions_table,
)
from experiments.results.report.settings_tables import compare_settings
from experiments.results.report.tables import Table, table
from experiments.results.report.thumbnails import colour_scale
from experiments.results.run_folders import Run
from experiments.results.sections import make_sections
from experiments.results.table import Section

WRONG_IMAGES = 24
MOST_WRONG_IMAGES = 200
PAGE_BYTES = 14_000_000
STATES = ("failed: ", "unfinished: ", "damaged: ", "missing: ")  # how the tables' notes on such runs begin


def write_report(
    runs: Sequence[Run],
    path: Path,
    *,
    keyword: str = "accuracy",
    spread: str = "std",
    seeds: Sequence[int] | None = None,
    average: str = "eleven",
    references: Path | None = None,
    pair: tuple[str, str] | None = None,
    wrong_images: int = WRONG_IMAGES,
    page_bytes: int = PAGE_BYTES,
) -> None:
    """Write one page that holds everything it shows and loads nothing.

    Args:
        runs: The runs, in any state.
        path: The page.
        keyword: The score of the tables, drawn over shots as well.
        spread: "std" or "ci95".
        seeds: Seeds that every cell should have; None means all that any run has.
        average: "eleven", "present" or "none": the data sets that are averaged over.
        references: File of published figures to put beside ours.
        pair: Two trainers to compare seed by seed.
        wrong_images: Most wrong images to show of a run, 0 to 200; 0 shows none.
        page_bytes: What images and plots may take together.

    Raises:
        FileNotFoundError: If there is no such file of published figures.
        ValueError: If there are no runs, the number of images is out of range, or the tables cannot be made as asked.
        OSError: If the page cannot be written.
    """
    if not runs:
        raise ValueError("there are no runs to report")
    if not 0 <= wrong_images <= MOST_WRONG_IMAGES:
        raise ValueError(f"{wrong_images} wrong images a run cannot be shown; 0 to {MOST_WRONG_IMAGES} can")
    sections = make_sections(
        runs, keyword, spread=spread, seeds=seeds, average=average, references=references, pair=pair
    )
    sections += make_sections(runs, keyword, spread=spread, seeds=seeds, average="none", long=True)[:1]
    cells = gather_cells(runs, seeds)
    names = run_names(run.folder for run in runs)
    paths = HostPaths(_host_folders(runs))
    size = PageSize(page_bytes)
    plotter = Plotter(size, paths)
    plots = [*accuracy_plots(cells, keyword, spread, plotter), *plots_of_data_sets(cells, plotter)]
    galleries = _galleries(cells, names, wrong_images, size, paths)
    shared, groups = compare_settings(_configurations(cells), paths)
    content: dict[str, Any] = {
        "title": _title(cells),
        "lead": "Few-shot adaptation of CLIP: scores, how they came about, and what was classified wrongly.",
        "facts": _facts(runs, cells),
        "notices": _notices(cells, size),
        "scores": _score_tables(sections, keyword, paths),
        "failures": failures_table(runs, cells, names, paths),
        "plots": plots,
        "protocol": protocol_table(cells),
        "galleries": galleries,
        "gallery_note": "Of each cell of the tables one run is looked at, its lowest finished seed with predictions: "
        f"at most {wrong_images} of its wrong images.",
        "scale": colour_scale() if any(item.has_overlays for _, item in galleries) else None,
        "shared": shared,
        "groups": groups,
        "runs": runs_table(runs, names),
        "remarks": remarks_table(runs, names, paths),
        "versions": versions_table(runs),
    }
    content["contents"] = _contents(content)
    replace_file(render_page(content).encode(errors="backslashreplace"), path, make_folder=False)


def _score_tables(sections: Sequence[Section], keyword: str, paths: HostPaths) -> list[Table]:
    """Return the tables of scores with captions; averages stay below what they average."""
    captions = {0: f"{keyword.replace('_', '-')} over shots", len(sections) - 1: "Every cell by itself"}
    tables, said = [], set[str]()
    for number, item in enumerate(sections):
        rows = [[paths.cut(text) for text in row] for row in item.rows]
        foot = [row for row in rows if row[0].startswith("average")]
        body = [row for row in rows if row not in foot]
        # What did not finish has a part of the page to itself.
        notes = [paths.cut(note) for note in item.notes if not note.startswith(STATES)]
        caption = item.title or captions.get(number, item.kind)
        fresh = [note for note in notes if note not in said]
        said.update(notes)
        tables.append(table(caption[:1].upper() + caption[1:], item.headers, body, foot=foot, notes=fresh))
    return tables


def _galleries(
    cells: Sequence[Cell], names: Mapping[Path, str], limit: int, size: PageSize, paths: HostPaths
) -> list[tuple[str, Gallery]]:
    """Collect the galleries, the most telling first, and return them in the order of the tables."""
    if not limit:
        return []
    chosen = looked_at(cells)
    made = {run.folder: gallery(run, limit, size, paths, names[run.folder]) for _, run in chosen}
    kept = [run.folder for run in sorted((run for _, run in chosen), key=lambda run: run.folder)]
    return [(names[folder], made[folder]) for folder in kept if made[folder].total or made[folder].note]


def _configurations(cells: Sequence[Cell]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the configurations of the finished runs of each data set, trainer and config."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        for run in cell.runs:
            if isinstance(run.result.get("cfg"), Mapping):
                groups.setdefault(" / ".join(cell_names(cell)[:3]), []).append(run.result["cfg"])
    return groups


def _host_folders(runs: Sequence[Run]) -> set[str]:
    """Return the folders of this and of the runs' machines that texts may name."""
    folders = set()
    for run in runs:
        folders.add(str(run.folder.absolute()))
        cfg = run.result.get("cfg")
        data = cfg.get("DATASET") if isinstance(cfg, Mapping) else None
        if isinstance(cfg, Mapping):
            folders.add(str(cfg.get("OUTPUT_DIR", "")))
        if isinstance(data, Mapping):
            folders.add(str(data.get("ROOT", "")))
    return folders


def _title(cells: Sequence[Cell]) -> str:
    trainers = list(dict.fromkeys(cell.label.trainer for cell in cells))
    datasets = list(dict.fromkeys(cell.label.dataset for cell in cells))
    on = ", ".join(datasets) if len(datasets) <= 3 else f"{len(datasets)} data sets"
    return f"{', '.join(trainers)} on {on}"


def _facts(runs: Sequence[Run], cells: Sequence[Cell]) -> list[tuple[str, str]]:
    states = Counter(run.status for run in runs)
    counts = [
        ("run", len(runs)),
        *((f"run {state}", number) for state, number in sorted(states.items(), key=lambda item: item[0] != "finished")),
        ("seed missing", sum(len(cell.missing) for cell in cells)),
        ("data set", len({shown_dataset(cell.label) for cell in cells})),
        ("trainer", len({cell.label.trainer for cell in cells})),
        ("seed", len({seed_of(run) for run in runs})),
    ]
    return [(_plural(name, number), str(number)) for name, number in counts if number]


def _plural(name: str, number: int) -> str:
    """Put the noun of "run", "data set" or "run failed" into the plural, unless it is one."""
    if number == 1:
        return name
    noun, _, state = name.partition(" ") if name.startswith(("run ", "seed ")) else (name, "", "")
    return f"{noun}s {state}".rstrip()


def _notices(cells: Sequence[Cell], size: PageSize) -> list[str]:
    notices = []
    if any(cell.oracle for cell in cells):
        notices.append(
            f"Figures with a {DAGGER} were chosen with the help of test labels (oracle). They are no fair comparison "
            "with the others."
        )
    if size.left_out:
        left_out = "; ".join(dict.fromkeys(size.left_out))
        notices.append(f"The page is limited to {size.limit / 1e6:.1f} MB of images. Left out: {left_out}.")
    return notices


def _contents(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = [("scores", "Scores", True), ("failures", "Failures and gaps", content["failures"].body)]
    parts += [("plots", "Plots", content["plots"]), ("protocol", "Protocol", True)]
    parts += [("mistakes", "Wrong images", content["galleries"]), ("settings", "Configurations", True)]
    parts += [("runs", "Runs, times, versions", True)]
    return [(key, name) for key, name, there in parts if there]
