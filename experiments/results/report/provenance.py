"""Where figures come from: protocol of every cell, what failed, versions and run times, as tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.results.cells import DAGGER, Cell, shown_dataset, shown_trainer
from experiments.results.report.host_paths import HostPaths
from experiments.results.report.tables import Table, table
from experiments.results.run_folders import Run

_PROTOCOL = {
    "final_model": "final model",
    "selected_on": "selected on",
    "validation": "validation",
    "validation_images": "validation images",
    "views": "views",
    "alpha_rule": "alpha rule",
}
UNKNOWN = "-"
_SECONDS = ("setup", "training_and_evaluation", "total")


def cell_names(cell: Cell) -> list[str]:
    """Return what names a cell in a table: data set, trainer, config, shots."""
    label = cell.label
    trainer = shown_trainer(label.trainer, cell.variant, oracle=cell.oracle)
    return [shown_dataset(label), trainer, label.config, str(label.shots) if label.shots >= 0 else "?"]


def protocol_table(cells: Sequence[Cell]) -> Table:
    """Return how the model of every cell was chosen; cells without a finished run are not in it."""
    finished = [cell for cell in cells if cell.runs]
    columns = {
        title: [_joined(run.protocol.get(key) for run in cell.runs) for cell in finished]
        for key, title in _PROTOCOL.items()
    }
    columns["chosen by tuning"] = [_joined(_chosen(run.result.get("tuning")) for run in cell.runs) for cell in finished]
    told = {title: values for title, values in columns.items() if any(value != UNKNOWN for value in values)}
    rows = [
        [*cell_names(cell), f"yes {DAGGER}" if cell.oracle else "no", *values]
        for cell, *values in zip(finished, *told.values(), strict=True)
    ]
    note = f"{DAGGER} test labels chose something (oracle): no fair comparison with the other figures."
    notes = [note] if any(cell.oracle for cell in finished) else []
    headers = ["data set", "trainer", "config", "shots", "test labels used", *told]
    return table("How each model was chosen", headers, rows, notes=notes)


def _chosen(tuning: Any) -> str | None:
    """Say what was tuned to which values, on which images."""
    if not isinstance(tuning, Mapping) or not isinstance(tuning.get("chosen"), Mapping):
        return None
    values = ", ".join(f"{name} {_plain(value)}" for name, value in tuning["chosen"].items())
    return f"{values} ({_plain(tuning.get('on'))})"


def runs_table(runs: Sequence[Run], names: Mapping[Path, str]) -> Table:
    """Return every run with its state, times and what it ran on."""
    headers = ["run", "state", "accuracy (%)", "zero-shot (%)", "images", "set-up (s)", "training and evaluation (s)"]
    rows = []
    for run in runs:
        seconds = run.result.get("seconds") if isinstance(run.result.get("seconds"), Mapping) else {}
        row = [names[run.folder], run.status, _number(run.scores.get("accuracy"), 2), _number(run.zero_shot, 2)]
        row += [_plain(run.result.get("total"))]
        row += [_number((seconds or {}).get(name), 1) for name in _SECONDS]
        rows.append([*row, _number(run.result.get("peak_memory_mb"), 0), _plain(run.result.get("device"))])
    return table("Every run", [*headers, "total (s)", "peak memory (MiB)", "device"], rows)


def failures_table(runs: Sequence[Run], cells: Sequence[Cell], names: Mapping[Path, str], paths: HostPaths) -> Table:
    """Return what did not finish, with its error, and the seeds that nobody started."""
    rows = [
        [names[run.folder], run.status, paths.cut(run.error) or "no error was recorded"]
        for run in runs
        if run.status != "finished"
    ]
    rows += [
        [" / ".join(cell_names(cell)[:3]) + f" / {cell.label.shots} shots / seed {seed}", "missing", "never started"]
        for cell in cells
        for seed in cell.missing
    ]
    return table("Failed, unfinished and missing runs", ["run", "state", "error"], rows)


def remarks_table(runs: Sequence[Run], names: Mapping[Path, str], paths: HostPaths) -> Table:
    """Return what a reader of the figures should know about single runs."""
    rows = [[names[run.folder], paths.cut(remark)] for run in runs for remark in run.remarks]
    return table("Remarks", ["run", "remark"], rows)


def versions_table(runs: Sequence[Run]) -> Table:
    """Return the software of the runs, a column for each different set of it."""
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for run in runs:
        if run.result:
            counts[_software(run)] = counts.get(_software(run), 0) + 1
    kinds = sorted(counts, key=lambda kind: (-counts[kind], kind))
    packages = list(dict.fromkeys(name for kind in kinds for name, _ in kind))
    rows = [[package, *(dict(kind).get(package, UNKNOWN) for kind in kinds)] for package in packages]
    return table("Versions", ["package", *(f"{counts[kind]} run{'s' * (counts[kind] != 1)}" for kind in kinds)], rows)


def _software(run: Run) -> tuple[tuple[str, str], ...]:
    versions = run.result.get("versions")
    own = {"this project (commit)": run.result.get("git_commit"), "device": run.result.get("device")}
    packages = versions if isinstance(versions, Mapping) else {}
    return tuple((str(name), _plain(value)) for name, value in (*own.items(), *packages.items()))


def _joined(values: Any) -> str:
    """Return the distinct values in order; UNKNOWN if none is known."""
    shown = dict.fromkeys(_plain(value) for value in values if value is not None)
    return "; ".join(shown) or UNKNOWN


def _plain(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: Any, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else UNKNOWN
