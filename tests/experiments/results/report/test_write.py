import os
import shutil
from pathlib import Path

import pytest

from experiments.results.predictions import PREDICTIONS_FILE
from experiments.results.report import write as module
from experiments.results.report import write_report
from experiments.results.run_folders import read_runs
from tests.experiments.results.report.conftest import Report
from tests.experiments.results.report.example_report import NASTY, run_folder, write_run


def test_everything_from_data_is_escaped(report: Report) -> None:
    assert NASTY not in report.text
    assert report.text.count("&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;") >= 2


def test_no_folder_of_the_machine_is_named(report: Report) -> None:
    for folder in (str(report.root.parent), str(Path.home()), str(Path.cwd())):
        assert folder not in report.text
    assert "…/secret place/x.png" in report.text


@pytest.mark.parametrize(
    "text",
    [
        "shapes / AMU† / tiny",
        "yes †",
        "Figures with a † were chosen with the help of test labels",
        "OutOfMemoryError",
        "never started",
        "image file not found",
        "adapted, background token",
        "TRAINER.AMU.FUSION_ALPHA",
        "torchvision",
        "this project (commit)",
        "zero-shot accuracy",
        "AMU",
        "training and evaluation (s)",
        "3 of ",
        "<dt>run failed</dt><dd>1</dd>",
        "<dt>data sets</dt><dd>2</dd>",
    ],
)
def test_the_page_has_every_part(report: Report, text: str) -> None:
    assert text in report.text


def test_the_same_runs_give_the_same_page(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "digits", "RAFT", 4, 1)
    for name in ("a.html", "b.html"):
        write_report(read_runs([tmp_path / "runs"]), tmp_path / name, wrong_images=2)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_wrong_images_can_be_left_out_and_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "plots_of_data_sets", lambda cells, plotter: [])
    runs = read_runs([write_run(tmp_path / "runs", "digits", "AMU", 4, 1)])
    write_report(runs, tmp_path / "none.html", wrong_images=0)
    write_report(runs, tmp_path / "two.html", wrong_images=2)
    assert "image/webp" not in (tmp_path / "none.html").read_text()
    assert (tmp_path / "two.html").read_text().count("image/webp") == 2


def test_a_small_page_says_what_was_left_out(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "runs", "digits", "AMU", 4, 1)])
    write_report(runs, tmp_path / "page.html", page_bytes=60_000)
    text = (tmp_path / "page.html").read_text()
    assert "The page is limited to 0.1 MB of images. Left out: plot:" in text
    assert "left out, the page is full" in text and len(text) < 250_000


def test_folders_without_a_single_result_still_make_a_page(tmp_path: Path) -> None:
    (tmp_path / "runs" / "seed1").mkdir(parents=True)
    write_report(read_runs([tmp_path / "runs"]), tmp_path / "page.html")
    assert '<td data-order="unfinished">unfinished</td>' in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("number", [-1, 201])
def test_impossible_numbers_of_images_are_refused(tmp_path: Path, number: int) -> None:
    runs = read_runs([write_run(tmp_path / "runs", "digits", "AMU", 4, 1)])
    with pytest.raises(ValueError, match=f"{number} wrong images a run cannot be shown; 0 to 200 can"):
        write_report(runs, tmp_path / "page.html", wrong_images=number)
    assert not (tmp_path / "page.html").exists()


def test_nothing_to_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are no runs to report"):
        write_report([], tmp_path / "page.html")


def test_a_page_that_cannot_be_made_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = read_runs([write_run(tmp_path / "runs", "digits", "AMU", 4, 1, predictions=False)])
    (tmp_path / "page.html").write_text("earlier")

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(runs, tmp_path / "page.html")
    monkeypatch.undo()
    assert (tmp_path / "page.html").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "runs"]


def test_the_page_says_whose_predictions_are_not_this_runs_and_lists_no_seeds_of_zero_shot_clip(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_run(tmp_path / "runs", "digits", "AMU", 4, seed)
    folder = run_folder(tmp_path / "runs", "digits", "AMU", 4, 1)
    shutil.copy(folder.parent / "seed2" / PREDICTIONS_FILE, folder)
    write_run(tmp_path / "runs", "digits", "ZeroshotCLIP", 0, 1)
    write_report(read_runs([tmp_path / "runs"]), tmp_path / "page.html", seeds=[1, 2], pair=("AMU", "ZeroshotCLIP"))
    text = (tmp_path / "page.html").read_text()
    assert text.count("…/predictions.safetensors is not this run&#39;s: ") == 2  # its gallery and its plots
    assert "never started" not in text and "missing: " not in text and "seeds missing" not in text
    assert "ZeroshotCLIP draws nothing: its only run (seed 1) is compared with every seed" in text


def test_no_folder_is_made_for_the_page(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "runs", "digits", "AMU", 4, 1, predictions=False)])
    with pytest.raises(FileNotFoundError):
        write_report(runs, tmp_path / "nowhere" / "page.html")
    assert not (tmp_path / "nowhere").exists()
