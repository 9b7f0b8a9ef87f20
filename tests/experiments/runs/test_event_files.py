"""What event files hold, read back by TensorBoard and held against docs/tensorboard.md."""

import io
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from experiments.results.predictions import read_predictions
from experiments.runs.config import REPOSITORY
from experiments.runs.event_files import write_event_files
from experiments.runs.final_scalars import final_scalars
from tests.conftest import Run
from tests.experiments.results.example_runs import write_example_run

ROWS = re.findall(r"^\| `([^`]+)` \|", (REPOSITORY / "docs" / "tensorboard.md").read_text(), re.MULTILINE)
NAMES = {
    "<loss>": ("loss", "loss_fused", "loss_aux", *(f"loss_{part}" for part in ("difference", "consistency"))),
    "<branch>": ("zero_shot", "aux", "fused", "region", "probe"),
    "<setting>": ("fusion_alpha", "uncertainty_power", "loss_lambda", "inverse_regularization"),
    "<part>": ("setup", "training_and_evaluation", "evaluation", "image_records", "model_folder", "total"),
}
NAMES["<loss>"] += ("loss_region", "loss_background")


def documented() -> dict[str, str]:
    """Every tag that the table allows, with its row."""
    tags = {}
    for row in ROWS:
        placeholder = next((name for name in NAMES if name in row), "")
        for name in NAMES.get(placeholder, ("",)):
            tags[row.replace(placeholder, name) if placeholder else row] = row
    return tags


def read(folder: Path) -> Any:
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    return events.Reload()


def tags_of(folder: Path) -> set[str]:
    tags = read(folder).Tags()
    return {*tags["scalars"], *tags["images"]}


def image(events: Any, tag: str) -> Image.Image:
    (event,) = events.Images(tag)
    return Image.open(io.BytesIO(event.encoded_image_string))


def test_every_tag_is_documented_and_every_row_is_written(train_main: Callable[..., Run]) -> None:
    on = ("TEST.FIGURES", "True")
    runs = [
        train_main("AMU", "TEST.FINAL_MODEL", "best_val", *on),
        train_main("RAFT", "TEST.FINAL_MODEL", "best_val", *on),
        train_main("ZeroshotCLIP", *on),
        train_main("LinearProbe", *on),
    ]
    runs.append(train_main("AMU", "--eval-only", "--model-dir", str(runs[0].folder)))
    tags, seen = documented(), set()
    for run in runs:
        assert run.status == 0, run.err
        found = tags_of(run.folder)
        assert found <= tags.keys(), found - tags.keys()
        seen |= {tags[tag] for tag in found}
    assert seen == set(ROWS)
    assert "final/seconds_evaluation" in tags_of(runs[-1].folder)

    events, result = read(runs[0].folder), runs[0].result
    assert [event.step for event in events.Scalars("train/loss")] == [0, 1, 2, 3]
    assert [event.step for event in events.Scalars("val/accuracy")] == [0, 1, 2, 3]
    for tag, expected in (
        ("final/accuracy", result["accuracy"]),
        ("final/accuracy_aux", result["branches"]["aux"]),
        ("final/accuracy_zero_shot", result["zero_shot_accuracy"]),
        ("final/fusion_alpha", 4.0),
        ("final/seconds_total", result["seconds"]["total"]),
    ):
        (event,) = events.Scalars(tag)
        assert event.step == 2 and event.value == pytest.approx(expected)
    assert image(events, "figures/confusion_matrix").width > 100


def test_the_numbers_by_hand(tmp_path: Path) -> None:
    result = write_example_run(tmp_path, "AMU", images=False)
    predictions = read_predictions(tmp_path)
    scalars = list(final_scalars(result, predictions))
    gains = {step: value for tag, value, step in scalars if tag == "final/gain_by_class"}
    right = predictions.zero_shot_top5[:, 0] == predictions.labels  # type: ignore[index]
    for label, gain in gains.items():
        of_class = predictions.labels == label
        expected = 100 * (predictions.correct[of_class].mean() - right[of_class].mean())
        assert gain == pytest.approx(expected)
    assert sorted(gains) == list(range(10))
    others = {tag: value for tag, value, step in scalars if tag != "final/gain_by_class"}
    assert others["final/weight_mean"] == pytest.approx(float(predictions.extras["weight"].mean()))
    assert others["final/loss_lambda"] == 0.35 and 0 <= others["final/ece"] <= 1
    assert len(others) == len(scalars) - 10  # each once
    bare = dict.fromkeys((tag for tag, *_ in final_scalars(result, None)), 0)
    assert set(others) - set(bare) == {"final/ece", "final/zero_shot_ece", "final/weight_mean"}


def test_the_attention_sheet_and_a_later_evaluation(tmp_path: Path) -> None:
    result = write_example_run(tmp_path, "RAFT")
    for accuracy in (10.0, 20.0):
        write_event_files({**result, "accuracy": accuracy}, read_predictions(tmp_path), tmp_path, figures=True)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    events = read(tmp_path)
    assert [event.value for event in events.Scalars("final/accuracy")] == [20.0]
    sheet = np.asarray(image(events, "figures/attention"))
    side = sheet.shape[1] // 5
    assert sheet.shape == (4 * side, 5 * side, 3)
    class_before, class_after, background_before = (sheet[:, n * side : (n + 1) * side] for n in (1, 2, 3))
    assert np.array_equal(class_before, background_before) and not np.array_equal(class_before, class_after)
    write_event_files(result, read_predictions(tmp_path), tmp_path, figures=False)
    assert not read(tmp_path).Tags()["images"]


def test_what_cannot_be_drawn_is_warned_of_and_the_rest_is_there(tmp_path: Path) -> None:
    result = write_example_run(tmp_path, "RAFT")
    predictions = read_predictions(tmp_path)
    shutil.rmtree(tmp_path / "images")
    with pytest.warns(UserWarning, match="the result is not whole in TensorBoard: No file exists at") as caught:
        write_event_files(result, predictions, tmp_path, figures=True)
    assert len(caught) == 1
    assert {"final/accuracy", "figures/reliability"} <= tags_of(tmp_path)
    (tmp_path / "attention.safetensors").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match=r"not whole in TensorBoard: attention file .* is damaged"):
        write_event_files(result, predictions, tmp_path, figures=True)


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = write_example_run(tmp_path, images=False, predictions=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.warns(UserWarning, match="the result is not in TensorBoard, because it is missing"):
        write_event_files(result, None, tmp_path, figures=True)
    assert not (tmp_path / "tensorboard").exists()


def test_only_the_main_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = write_example_run(tmp_path, images=False, predictions=False)
    monkeypatch.setattr("experiments.runs.event_files.is_main", lambda: False)
    write_event_files(result, None, tmp_path, figures=True)
    assert not (tmp_path / "tensorboard").exists()


def test_a_tiny_run_draws_nothing_unless_asked(finished: Callable[[str], Run]) -> None:
    run = finished("RAFT")
    assert not read(run.folder).Tags()["images"] and "final/ece" in tags_of(run.folder)
