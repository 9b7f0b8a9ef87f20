"""Predictions and attention of real runs, of strangers' trainers and of evaluations that cannot be recorded."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from experiments.results.attention import read_attention
from experiments.results.predictions import read_predictions
from experiments.runs.image_records import write_image_records
from experiments.runs.record import EvaluationLog, set_aside
from tests.conftest import Run

Train = Callable[..., Run]
TRAINERS = ("AMU", "RAFT", "ZeroshotCLIP")
FILES = ("predictions.safetensors", "attention.safetensors")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_predictions_are_the_results(finished: Callable[[str], Run], trainer: str, image_root: Path) -> None:
    run = finished(trainer)
    result, found = run.result, read_predictions(run.folder)
    assert 100 * found.correct.mean() == pytest.approx(result["accuracy"]) and len(found.labels) == result["total"]
    assert found.zero_shot_top5 is not None
    zero_shot = 100 * (found.zero_shot_top5[:, 0] == found.labels).mean()
    assert zero_shot == pytest.approx(result["zero_shot_accuracy"])
    assert found.split == "test" and found.root == str(image_root.absolute())
    assert found.classnames == ("bear", "red_fox", "sea lion") and found.top5.shape == (9, 3)
    np.testing.assert_allclose(found.top5_probabilities.sum(axis=1), 1, rtol=1e-5)
    for name, label in zip(found.images, found.labels, strict=True):
        assert (image_root / name).is_file() and name.split("/")[0] == found.classnames[label]
    for label, name in enumerate(found.classnames):
        right = found.correct[found.labels == label]
        assert 100 * right.mean() == pytest.approx(result["per_class_accuracy"][name])
    assert result["seconds"]["image_records"] < result["seconds"]["total"]


def test_amus_own_columns(finished: Callable[[str], Run]) -> None:
    run = finished("AMU")
    extras = read_predictions(run.folder).extras
    assert set(extras) == {"aux_prediction", "weight"}
    right = extras["aux_prediction"] == read_predictions(run.folder).labels
    assert 100 * right.mean() == pytest.approx(run.result["branches"]["aux"])
    assert ((extras["weight"] > 0) & (extras["weight"] <= 1)).all() and extras["weight"].std() > 0


def test_rafts_attention(finished: Callable[[str], Run]) -> None:
    run = finished("RAFT")
    predictions = read_predictions(run.folder)
    found = read_attention(run.folder, len(predictions.labels))
    wrong = np.flatnonzero(~predictions.correct)
    assert found.rows[: len(wrong)].tolist() == wrong.tolist() and sorted(found.rows.tolist()) == list(range(9))
    assert np.array_equal(found.class_before, found.background_before)
    assert not np.allclose(found.class_after, found.class_before)
    for trainer in ("AMU", "ZeroshotCLIP"):
        assert not (finished(trainer).folder / "attention.safetensors").exists()


def test_an_evaluation_replaces_an_earlier_ones_files(train_main: Train, finished: Callable[[str], Run]) -> None:
    model = finished("RAFT").folder
    again = train_main("RAFT", "--eval-only", "--model-dir", str(model), "TEST.SPLIT", "val")
    found = read_predictions(again.folder)
    assert (found.split, len(found.labels), again.result["split"]) == ("val", 6, "val")
    assert len(read_attention(again.folder, 6).rows) == 6
    train_main("RAFT", "--eval-only", "--model-dir", str(model), folder=again.folder)
    assert read_predictions(again.folder).split == "test"
    off = train_main(
        "RAFT", "--eval-only", "--model-dir", str(model), "TEST.KEEP_PREDICTIONS", "False", folder=again.folder
    )
    assert off.status == 0 and not [name for name in FILES if (off.folder / name).exists()]
    assert off.result["accuracy"] == finished("RAFT").result["accuracy"]


@pytest.mark.parametrize("trainer", TRAINERS)
@pytest.mark.parametrize(("half", "names"), [("base", ("bear", "red_fox")), ("new", ("sea lion",))])
def test_halves_of_the_classes_and_batches_of_one(
    train_main: Train, trainer: str, half: str, names: tuple[str, ...]
) -> None:
    run = train_main(trainer, "DATASET.SUBSAMPLE_CLASSES", half, "DATALOADER.TEST.BATCH_SIZE", "1")
    if (trainer, half) == ("AMU", "new"):  # a single class has nothing to be weighed against
        assert run.status == 1 and not list(run.folder.glob("*.safetensors"))
        return
    found = read_predictions(run.folder)
    assert found.classnames == names and found.top5.shape == (3 * len(names), len(names))


def test_a_training_that_starts_removes_what_another_left(tmp_path: Path) -> None:
    for name in (*FILES, "result.json"):
        (tmp_path / name).write_bytes(b"old")
    set_aside(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result.previous.json"]


def test_settings_of_the_record_do_not_make_another_run(train_main: Train, tmp_path: Path) -> None:
    first = train_main("AMU", folder=tmp_path)
    again = train_main("AMU", "TEST.KEEP_PREDICTIONS", "False", folder=tmp_path)
    assert (first.status, again.status) == (0, 0), again.err
    assert not (tmp_path / FILES[0]).exists()


# ---------------------------------------------------------------------------------------------- strangers' trainers


class Evaluator:
    def reset(self) -> None: ...

    def process(self, output: Any, labels: Any) -> None: ...

    def evaluate(self) -> dict[str, Any]:
        return {}


class Images(list[dict[str, Any]]):
    def __init__(self, root: Path, labels: list[int]) -> None:
        super().__init__([{"label": label} for label in labels])
        self.data_source = [
            SimpleNamespace(impath=str(root / f"{row}.png"), label=label) for row, label in enumerate(labels)
        ]


def stranger(root: Path, labels: list[int], *, shuffle: bool = False, data_root: str = "") -> Any:
    names = {0: "a", 1: "b"}
    return SimpleNamespace(
        test_loader=DataLoader(Images(root, labels), shuffle=shuffle),  # type: ignore[arg-type]
        dm=SimpleNamespace(dataset=SimpleNamespace(lab2cname=names)),
        cfg=SimpleNamespace(DATASET=SimpleNamespace(ROOT=data_root)),
    )


def evaluated(labels: list[int], *, columns: int = 2, nan: bool = False) -> EvaluationLog:
    evaluator = Evaluator()
    log = EvaluationLog(evaluator)
    evaluator.reset()
    for label in labels:
        logits = torch.zeros(1, columns)
        logits[0, label] = torch.nan if nan else 1.0
        evaluator.process(logits, torch.tensor([label]))
    return log


def test_a_strangers_predictions(tmp_path: Path) -> None:
    trainer = stranger(tmp_path / "images" / "deep", [0, 1, 1])
    found = write_image_records(trainer, evaluated([0, 1, 1]), "test", tmp_path)
    assert found is not None and vars(read_predictions(tmp_path)).keys() == vars(found).keys()
    assert found.correct.all() and found.zero_shot_top5 is None and found.extras == {}
    assert (found.root, found.images) == (str(tmp_path / "images" / "deep"), ("0.png", "1.png", "2.png"))
    beside = stranger(tmp_path / "images" / "deep", [0, 1, 1], data_root=str(tmp_path / "images"))
    found = write_image_records(beside, evaluated([0, 1, 1]), "test", tmp_path)
    assert found is not None and found.images[0] == "deep/0.png" and found.root == str(tmp_path / "images")
    elsewhere = stranger(tmp_path / "images", [0, 1, 1], data_root=str(tmp_path / "image"))
    found = write_image_records(elsewhere, evaluated([0, 1, 1]), "test", tmp_path)
    assert found is not None and found.images[0] == "0.png"


@pytest.mark.parametrize(
    ("settings", "log", "why"),
    [
        ({"shuffle": True}, {}, "the test loader does not say in which order its images come"),
        ({}, {"labels": [1, 0, 1]}, "the labels evaluated are not those of the 3 test images in order"),
        ({}, {"labels": [0, 1]}, "the labels evaluated are not those of the 3 test images in order"),
        ({}, {"columns": 3}, "the model tells 3 classes apart, the data set has 2"),
        ({}, {"nan": True}, "top5_probabilities are no probabilities, highest first"),
    ],
)
def test_what_cannot_be_recorded_is_said_and_leaves_nothing(
    tmp_path: Path, settings: dict[str, Any], log: dict[str, Any], why: str
) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(b"of an earlier evaluation")
    with pytest.warns(UserWarning, match=f"predictions are not recorded: {why}"):
        found = write_image_records(
            stranger(tmp_path, [0, 1, 1], **settings), evaluated(**{"labels": [0, 1, 1], **log}), "test", tmp_path
        )
    assert found is None and not list(tmp_path.iterdir())


def test_a_loader_without_items(tmp_path: Path) -> None:
    trainer = stranger(tmp_path, [0])
    trainer.test_loader = DataLoader([{"label": 0}])  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="does not say in which order"):
        assert write_image_records(trainer, evaluated([0]), "test", tmp_path) is None


def test_memory_and_time_of_fifty_thousand_images() -> None:
    """Of 1,000 classes; as much is kept as five labels and five probabilities take."""
    evaluator = Evaluator()
    log = EvaluationLog(evaluator)
    evaluator.reset()
    logits = torch.randn(500, 1000, generator=torch.Generator().manual_seed(0))
    for _ in range(100):
        evaluator.process(logits, torch.zeros(500, dtype=torch.long))
    kept = sum(values.untyped_storage().nbytes() for top in log.top for values in top)
    assert kept == 50_000 * 5 * (4 + 4)
    assert json.dumps(log.figures({0: "a"}))
