"""The numbers of a finished run for TensorBoard, by the names that docs/tensorboard.md lists."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from amu_raft.methods import get_method, method_names
from amu_raft.model.reliability import reliability
from experiments.results.predictions import Predictions

# Tag, where result.json has it.
_RESULT_KEYS = {
    "final/accuracy": "accuracy",
    "final/macro_f1": "macro_f1",
    "final/accuracy_zero_shot": "zero_shot_accuracy",
    "final/peak_memory_mb": "peak_memory_mb",
}
GAIN_TAG = "final/gain_by_class"


class Scalar(NamedTuple):
    """A number, its name and its place on the horizontal axis."""

    tag: str
    value: float
    step: int


def final_scalars(result: Mapping[str, Any], predictions: Predictions | None) -> Iterator[Scalar]:
    """Yield the numbers of a finished run.

    The step is the number of shots, so that runs of several shots lie beside one another; that of gains per class is
    the label.

    Args:
        result: What its result.json holds.
        predictions: Its predictions, or None if they were not kept.
    """
    shots = int(result["num_shots"])
    values = {tag: result.get(key) for tag, key in _RESULT_KEYS.items()}
    values |= {f"final/{name}": result[name] for name in _settings_in(result)}
    values |= {f"final/accuracy_{name}": value for name, value in result.get("branches", {}).items()}
    values |= {f"final/seconds_{name}": value for name, value in result["seconds"].items()}
    if predictions is not None:
        values |= _of_predictions(predictions)
        for label, gain in _gains(predictions).items():
            yield Scalar(GAIN_TAG, gain, label)
    for tag, value in values.items():
        if value is not None:
            yield Scalar(tag, float(value), shots)


def _settings_in(result: Mapping[str, Any]) -> list[str]:
    """Return the method's settings that a record states as numbers, chosen or not; none of other trainers."""
    trainer = str(result.get("trainer"))
    names = [item.name for item in fields(get_method(trainer).Settings)] if trainer in method_names() else []
    return [name for name in names if type(result.get(name)) in (int, float)]


def _of_predictions(predictions: Predictions) -> dict[str, float]:
    values = {"final/ece": reliability(predictions.confidence, predictions.correct).ece}
    if predictions.zero_shot_top5 is not None and predictions.zero_shot_probabilities is not None:
        right = predictions.zero_shot_top5[:, 0] == predictions.labels
        values["final/zero_shot_ece"] = reliability(predictions.zero_shot_probabilities[:, 0], right).ece
    if "weight" in predictions.extras:
        values["final/weight_mean"] = float(predictions.extras["weight"].mean())
    return values


def _gains(predictions: Predictions) -> dict[int, float]:
    """Return by how many points of accuracy each class that has images gained over zero-shot."""
    if predictions.zero_shot_top5 is None:
        return {}
    labels, num_classes = predictions.labels, len(predictions.classnames)
    change = predictions.correct.astype(float) - (predictions.zero_shot_top5[:, 0] == labels)
    count, gained = np.bincount(labels, minlength=num_classes), np.bincount(labels, change, minlength=num_classes)
    return {label: 100.0 * float(gained[label]) / int(count[label]) for label in np.flatnonzero(count).tolist()}
