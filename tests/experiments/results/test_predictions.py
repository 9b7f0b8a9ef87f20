import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.results.predictions import Predictions, read_own_predictions, read_predictions, write_predictions
from experiments.results.tensor_file import read_tensor_file, write_tensor_file
from tests.experiments.results.example_runs import example_predictions


@pytest.fixture
def predictions(tmp_path: Path) -> Predictions:
    return example_predictions(tmp_path / "images", "AMU", num_images=12, classnames=("a", "b", "é c", "d", "e", "f"))


def assert_same(found: Predictions, expected: Predictions) -> None:
    for name, wanted in vars(expected).items():
        if name == "extras":
            assert found.extras.keys() == wanted.keys()
            assert all(np.array_equal(found.extras[key], wanted[key]) for key in wanted)
        elif isinstance(wanted, np.ndarray):
            assert np.array_equal(getattr(found, name), wanted) and getattr(found, name).dtype == wanted.dtype
        else:
            assert getattr(found, name) == wanted


@pytest.mark.parametrize("num_classes", [1, 2, 4, 5, 6])
@pytest.mark.parametrize("num_images", [1, 7])
def test_what_is_written_is_read(tmp_path: Path, num_classes: int, num_images: int) -> None:
    names = tuple(f"class {label}" for label in range(num_classes))
    made = example_predictions(tmp_path, "AMU", num_images=num_images, classnames=names, split="val")
    write_predictions(made, tmp_path)
    assert made.top5.shape == (num_images, min(5, num_classes))
    assert_same(read_predictions(tmp_path), made)


def test_trainers_without_a_zero_shot_branch(tmp_path: Path, predictions: Predictions) -> None:
    plain = replace(predictions, zero_shot_top5=None, zero_shot_probabilities=None, extras={})
    write_predictions(plain, tmp_path)
    assert_same(read_predictions(tmp_path), plain)


def test_what_follows_from_the_columns(predictions: Predictions) -> None:
    assert np.array_equal(predictions.predicted, predictions.top5[:, 0])
    assert np.array_equal(predictions.correct, predictions.top5[:, 0] == predictions.labels)
    assert np.array_equal(predictions.confidence, predictions.top5_probabilities.max(axis=1))


def changed(values: Any, place: Any, value: float) -> Any:
    values = values.copy()
    values[place] = value
    return values


FAULTS: dict[str, tuple[Any, str]] = {
    "no images": (lambda p: {"images": ()}, "it has 0 images and 6 classes"),
    "one image fewer": (lambda p: {"images": p.images[1:]}, "labels is int32 (12,), where int32 (11,) is wanted"),
    "a label too many": (lambda p: {"classnames": p.classnames[:5]}, "labels has label 5, but there are 5 classes"),
    "a negative label": (lambda p: {"top5": changed(p.top5, (3, 1), -2)}, "top5 has label -2, but there are 6"),
    "wide labels": (lambda p: {"labels": p.labels.astype(np.int64)}, "labels is int64 (12,), where int32 (12,)"),
    "top 4": (lambda p: {"top5": p.top5[:, :4]}, "top5 is int32 (12, 4), where int32 (12, 5) is wanted"),
    "double": (
        lambda p: {"top5_probabilities": p.top5_probabilities.astype(np.float64)},
        "top5_probabilities is float64 (12, 5), where float32 (12, 5)",
    ),
    "not a number": (
        lambda p: {"top5_probabilities": changed(p.top5_probabilities, (0, 0), np.nan)},
        "top5_probabilities are no probabilities",
    ),
    "more than one": (
        lambda p: {"zero_shot_probabilities": changed(p.zero_shot_probabilities, (0, 0), 1.5)},
        "zero_shot_probabilities are no probabilities",
    ),
    "ascending": (
        lambda p: {"top5_probabilities": np.ascontiguousarray(p.top5_probabilities[:, ::-1])},
        "top5_probabilities are no probabilities, highest first",
    ),
    "half of zero-shot": (lambda p: {"zero_shot_top5": None}, "zero_shot_top5 and zero_shot_probabilities go tog"),
    "a short extra": (lambda p: {"extras": {"weight": np.ones(3, np.float32)}}, "weight has shape (3,) for 12 images"),
    "an infinite extra": (
        lambda p: {"extras": {"weight": np.full(12, np.inf, np.float32)}},
        "weight has values that are not finite",
    ),
    "an aux label too many": (
        lambda p: {"extras": {"aux_prediction": np.full(12, 6, np.int32)}},
        "aux_prediction has label 6, but there are 6 classes",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_parts_that_do_not_fit_are_not_written(tmp_path: Path, predictions: Predictions, fault: str) -> None:
    change, message = FAULTS[fault]
    with pytest.raises(ValueError, match=re.escape(message)):
        write_predictions(replace(predictions, **change(predictions)), tmp_path)
    assert not list(tmp_path.glob("*"))


@pytest.mark.parametrize("fault", FAULTS)
def test_parts_that_do_not_fit_are_not_read(
    tmp_path: Path, predictions: Predictions, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = FAULTS[fault]
    with monkeypatch.context() as patch:
        patch.setattr("experiments.results.predictions._check", lambda _: None)
        write_predictions(replace(predictions, **change(predictions)), tmp_path)
    expected = f"prediction file {tmp_path / 'predictions.safetensors'} is damaged: {message}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        read_predictions(tmp_path)


def test_missing_parts_are_named(tmp_path: Path, predictions: Predictions) -> None:
    write_predictions(predictions, tmp_path)
    path = tmp_path / "predictions.safetensors"
    arrays, about = read_tensor_file(path, what="file", schema=1)
    for name in ("labels", "top5", "top5_probabilities"):
        write_tensor_file({key: value for key, value in arrays.items() if key != name}, about, path)
        with pytest.raises(ValueError, match=f"is damaged: it has no {name};"):
            read_predictions(tmp_path)
    for name, value in (("images", "a.png"), ("classnames", [1, 2]), ("images", None)):
        write_tensor_file(arrays, {**about, name: value}, path)
        with pytest.raises(ValueError, match=f"is damaged: {name} is no list of texts;"):
            read_predictions(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no prediction file"):
        read_predictions(tmp_path)


def result_of(made: Predictions) -> dict[str, object]:
    per_class = {
        made.classnames[label]: 100.0 * float(made.correct[made.labels == label].mean())
        for label in sorted(set(made.labels.tolist()))
    }
    correct = int(made.correct.sum())
    return {"split": made.split, "total": len(made.labels), "correct": correct, "per_class_accuracy": per_class}


def test_a_run_reads_its_own(tmp_path: Path, predictions: Predictions) -> None:
    write_predictions(predictions, tmp_path)
    for result in (result_of(predictions), {}, {"per_class_accuracy": None}):
        assert_same(read_own_predictions(tmp_path, result), predictions)


@pytest.mark.parametrize("name", ["split", "total", "correct", "class", "accuracy", "no number"])
def test_predictions_of_another_run_are_refused(tmp_path: Path, predictions: Predictions, name: str) -> None:
    result: dict[str, Any] = result_of(predictions)
    first, *others = result["per_class_accuracy"]
    kept = {key: result["per_class_accuracy"][key] for key in others}
    accuracy = result["per_class_accuracy"][first]
    faults: dict[str, tuple[dict[str, Any], str]] = {
        "split": ({"split": "other"}, f"split is {predictions.split} in it and other in result.json"),
        "total": ({"total": 999}, f"total is {len(predictions.labels)} in it and 999 in result.json"),
        "correct": ({"correct": 998}, f"correct is {result['correct']} in it and 998 in result.json"),
        "class": ({"per_class_accuracy": kept}, f"only one of it and result.json has images of class {first!r}"),
        "accuracy": (
            {"per_class_accuracy": {**kept, first: 12.5}},
            f"accuracy of class {first!r} is {accuracy:.2f} in it and 12.5 in result.json",
        ),
        "no number": (
            {"per_class_accuracy": {**kept, first: None}},
            f"accuracy of class {first!r} is {accuracy:.2f} in it and None in result.json",
        ),
    }
    change, message = faults[name]
    write_predictions(predictions, tmp_path)
    expected = f"prediction file {tmp_path / 'predictions.safetensors'} is not this run's: {message}"
    with pytest.raises(ValueError, match=f"{re.escape(expected)}$"):
        read_own_predictions(tmp_path, result | change)
