import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from experiments.results.cells import Cell, gather_cells
from experiments.results.predictions import PREDICTIONS_FILE
from experiments.results.report.host_paths import HostPaths
from experiments.results.report.page_size import PageSize
from experiments.results.report.plots import Plotter, accuracy_plots, plots_of_data_sets, run_title
from experiments.results.run_folders import read_runs
from tests.experiments.results.report.example_report import TUNING, write_failure, write_run


def plotter(limit: int = 10**7) -> Plotter:
    return Plotter(PageSize(limit), HostPaths())


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    write_run(tmp_path, "digits", "ZeroshotCLIP", 0, 1)
    write_run(tmp_path, "digits", "AMU", 4, 1, tuning=TUNING)
    write_run(tmp_path, "digits", "AMU", 1, 1)
    return gather_cells(read_runs([tmp_path]))


def test_each_data_set_has_its_plots_by_kind(cells: list[Cell]) -> None:
    (group,) = plots_of_data_sets(cells, plotter())
    assert group.name == "digits"
    amu, zero_shot = "AMU (tiny), 4 shots, seed 1", "ZeroshotCLIP (tiny), 0 shots, seed 1"
    assert [[plot.caption.split(": ")[0] for plot in row] for row in group.rows] == [
        ["How often answers of a given confidence are right"],
        [amu],
        [amu, zero_shot],
        [amu],
    ]
    assert all(plot.source.startswith("data:image/") and plot.alt for row in group.rows for plot in row)
    assert "panel each for zero-shot, AMU" in group.rows[0][0].alt


def test_scores_over_shots_come_first(cells: list[Cell]) -> None:
    (group,) = accuracy_plots(cells, "accuracy", "ci95", plotter())
    ((plot,),) = group.rows
    assert plot.wide and plot.source.startswith("data:image/svg+xml") and "digits" in plot.alt


def test_without_a_finished_run_there_are_no_plots(tmp_path: Path) -> None:
    (tmp_path / "seed1").mkdir()
    write_failure(tmp_path / "seed1", "KeyError: x", trainer="AMU", dataset="digits", num_shots=4, seed=1)
    cells = gather_cells(read_runs([tmp_path]))
    assert accuracy_plots(cells, "accuracy", "std", plotter()) == plots_of_data_sets(cells, plotter()) == []


def test_a_run_without_predictions_has_none_of_their_plots(tmp_path: Path) -> None:
    write_run(tmp_path, "digits", "AMU", 4, 1, predictions=False)
    assert plots_of_data_sets(gather_cells(read_runs([tmp_path])), plotter()) == []


def test_titles_name_config_shots_and_seed(cells: list[Cell]) -> None:
    assert run_title(cells[0], cells[0].runs[0]) == "AMU (tiny), 1 shot, seed 1"


def test_what_cannot_be_drawn_leaves_a_note() -> None:
    def broken() -> Figure:
        raise ValueError("tuning in /data/run/result.json has no axes")

    plot = plotter().draw("caption", "alt", broken)
    assert (plot.source, plot.note) == ("", "not drawn: tuning in …/result.json has no axes")


def test_a_full_page_leaves_a_note() -> None:
    full = plotter(10)
    plot = full.draw("caption", "alt", Figure)
    assert (plot.source, plot.note) == ("", "left out, the page is full")
    assert full.size.left_out == ["plot: caption"]


def test_plots_of_very_many_marks_become_pictures() -> None:
    def crowded() -> Figure:
        figure = Figure()
        figure.subplots().scatter([n % 83 for n in range(9000)], range(9000))
        return figure

    assert plotter().draw("caption", "alt", crowded).source.startswith("data:image/png")


def test_predictions_of_another_run_are_not_drawn(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "digits", "AMU", 4, 1)
    shutil.copy(write_run(tmp_path / "other", "digits", "AMU", 1, 2) / PREDICTIONS_FILE, folder)
    ((group,),) = [plots_of_data_sets(gather_cells(read_runs([folder])), plotter())]
    ((plot,),) = group.rows
    assert plot.caption == "AMU (tiny), 4 shots, seed 1: plots of its predictions" and not plot.source
    assert plot.note.startswith("not drawn: prediction file …/predictions.safetensors is not this run's: correct is")
