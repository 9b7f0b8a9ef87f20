import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.results.attention import ATTENTION_FILE, read_attention
from experiments.results.predictions import PREDICTIONS_FILE, read_predictions
from experiments.results.report.host_paths import HostPaths
from experiments.results.report.mistakes import Gallery, gallery, order_of_mistakes
from experiments.results.report.page_size import PageSize
from experiments.results.run_folders import read_run
from tests.experiments.results.report.example_report import write_run

LARGE = 10**7


def collect(folder: Path, limit: int = 24, size: PageSize | None = None) -> Gallery:
    return gallery(read_run(folder), limit, size or PageSize(LARGE), HostPaths(), "the run")


def test_wrong_images_carry_truth_answers_and_zero_shot(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "digits", "AMU", 4, 1)
    made, found = read_predictions(folder), collect(folder)
    assert (found.total, found.wrong, found.split) == (60, int((~made.correct).sum()), "test")
    assert len(found.mistakes) == min(24, found.wrong) > 3
    confidences = [mistake.guesses[0].percent for mistake in found.mistakes]
    assert confidences == sorted(confidences, reverse=True)
    for mistake in found.mistakes:
        row = made.images.index(mistake.path)
        assert mistake.true == made.classnames[made.labels[row]] != mistake.guesses[0].name
        assert [guess.name for guess in mistake.guesses] == [made.classnames[label] for label in made.top5[row]]
        assert made.zero_shot_top5 is not None and mistake.zero_shot is not None
        assert mistake.zero_shot.name == made.classnames[made.zero_shot_top5[row, 0]]
        assert mistake.zero_shot.true == (made.zero_shot_top5[row, 0] == made.labels[row])
        aux = made.classnames[made.extras["aux_prediction"][row]]
        assert mistake.notes == (f"aux alone: {aux}", f"weight: {made.extras['weight'][row]:.3g}")
        assert mistake.picture.source and mistake.overlays == ()


def test_raft_shows_where_it_looked(tmp_path: Path) -> None:
    found = collect(write_run(tmp_path, "digits", "RAFT", 4, 1), 5)
    assert len(found.mistakes) == 5 and found.has_overlays
    assert [[caption for caption, _ in mistake.overlays] for mistake in found.mistakes] == [
        ["CLIP's own pooling", "adapted, class token", "adapted, background token"]
    ] * 5


def test_images_with_maps_come_first(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "digits", "RAFT", 1, 1)
    made = read_predictions(folder)
    attention = read_attention(folder, len(made.labels))
    wrong = np.flatnonzero(~made.correct)
    kept = attention.rows == wrong[np.argmin(made.confidence[wrong])]
    few = type(attention)(**{name: values[kept] for name, values in vars(attention).items()})
    order = order_of_mistakes(made, few)
    assert order[0] == few.rows[0] and sorted(order) == sorted(wrong)
    assert order_of_mistakes(made, None)[0] != few.rows[0]


def test_lost_images_leave_placeholders(tmp_path: Path) -> None:
    found = collect(write_run(tmp_path, "digits", "RAFT", 4, 1, images=False))
    assert {mistake.picture.note for mistake in found.mistakes} == {"image file not found"}
    assert not found.has_overlays


def test_runs_without_predictions_say_so(tmp_path: Path) -> None:
    found = collect(write_run(tmp_path, "digits", "AMU", 4, 1, predictions=False))
    assert found.total == 0 and "kept no predictions" in found.note


@pytest.mark.parametrize("name", [PREDICTIONS_FILE, ATTENTION_FILE])
def test_damaged_files_are_named_without_their_folder(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path, "digits", "RAFT", 4, 1)
    (folder / name).write_bytes(b"damaged")
    found = collect(folder)
    assert found.mistakes == () and name in found.note and str(tmp_path) not in found.note


def test_what_does_not_fit_is_noted(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "digits", "AMU", 4, 1)
    size = PageSize(6000)
    found = collect(folder, size=size)
    assert 1 <= len(found.mistakes) < found.wrong
    assert size.left_out == ["wrong images of the run"] and size.used <= 6000


def test_predictions_of_another_run_are_not_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "digits", "AMU", 4, 1)
    other = write_run(tmp_path, "digits", "AMU", 1, 2)
    shutil.copy(other / PREDICTIONS_FILE, folder)
    found = collect(folder)
    assert found.mistakes == () and found.total == 0
    assert "predictions.safetensors is not this run's: correct is" in found.note
