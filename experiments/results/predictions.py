"""predictions.safetensors: what a run's final evaluation made of every image. Needs numpy, not torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.results.tensor_file import Arrays, damaged, read_tensor_file, write_tensor_file

PREDICTIONS_FILE = "predictions.safetensors"
SCHEMA = 1
NUM_KEPT = 5
_WHAT = "prediction file"
_ROUNDING = 1e-4  # a sum of float32 probabilities may exceed 1 by this much
Array = NDArray[Any]


@dataclass(frozen=True)
class Predictions:
    """The final evaluation, one row per image in the order of the loader; k = min(5, C).

    Attributes:
        labels: True classes, (N,) int32.
        top5: Likeliest classes by the logits that decide, likeliest first, (N, k) int32.
        top5_probabilities: Their softmax over all classes, (N, k) float32.
        classnames: Name of each label, C of them.
        images: Path of each image relative to ``root``, with "/".
        root: Absolute folder of the images on the machine of the run.
        split: "val" or "test".
        zero_shot_top5: As ``top5``, of zero-shot CLIP; None for trainers that do not know it.
        zero_shot_probabilities: As ``top5_probabilities``.
        extras: A method's own numbers for each image, (N,) by name. AMU: "aux_prediction", class that the auxiliary
            logits alone would choose (absent if the adapter knows none of the classes), and "weight", the uncertainty
            weight.
    """

    labels: Array
    top5: Array
    top5_probabilities: Array
    classnames: tuple[str, ...]
    images: tuple[str, ...]
    root: str
    split: str
    zero_shot_top5: Array | None = None
    zero_shot_probabilities: Array | None = None
    extras: Mapping[str, Array] = field(default_factory=dict)

    @property
    def predicted(self) -> Array:
        """The class decided for, (N,)."""
        return self.top5[:, 0]

    @property
    def correct(self) -> Array:
        """Whether it is the true one, (N,) bool."""
        right: Array = self.predicted == self.labels
        return right

    @property
    def confidence(self) -> Array:
        """Its probability, (N,)."""
        return self.top5_probabilities[:, 0]


def write_predictions(predictions: Predictions, folder: Path) -> None:
    """Write the file into a run folder, in place of an earlier one.

    Raises:
        OSError: If it cannot be written.
        ValueError: If the parts do not fit together.
    """
    _check(predictions)
    arrays: Arrays = {
        **predictions.extras,
        "labels": predictions.labels,
        "top5": predictions.top5,
        "top5_probabilities": predictions.top5_probabilities,
    }
    for name in ("zero_shot_top5", "zero_shot_probabilities"):
        if (values := getattr(predictions, name)) is not None:
            arrays[name] = values
    about = {
        "schema": SCHEMA,
        "split": predictions.split,
        "classnames": list(predictions.classnames),
        "images": list(predictions.images),
        "root": predictions.root,
    }
    write_tensor_file(arrays, about, folder / PREDICTIONS_FILE)


def read_predictions(folder: Path) -> Predictions:
    """Read the file of a run folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or its parts do not fit together.
    """
    path = folder / PREDICTIONS_FILE
    arrays, about = read_tensor_file(path, what=_WHAT, schema=SCHEMA)
    for name in ("labels", "top5", "top5_probabilities"):
        if name not in arrays:
            raise damaged(path, _WHAT, f"it has no {name}")
    for name in ("classnames", "images"):
        if not isinstance(about.get(name), list) or not all(isinstance(text, str) for text in about[name]):
            raise damaged(path, _WHAT, f"{name} is no list of texts")
    predictions = Predictions(
        labels=arrays.pop("labels"),
        top5=arrays.pop("top5"),
        top5_probabilities=arrays.pop("top5_probabilities"),
        zero_shot_top5=arrays.pop("zero_shot_top5", None),
        zero_shot_probabilities=arrays.pop("zero_shot_probabilities", None),
        extras=arrays,
        classnames=tuple(about["classnames"]),
        images=tuple(about["images"]),
        root=str(about.get("root")),
        split=str(about.get("split")),
    )
    try:
        _check(predictions)
    except ValueError as error:
        raise damaged(path, _WHAT, str(error)) from error
    return predictions


def read_own_predictions(folder: Path, result: Mapping[str, Any]) -> Predictions:
    """Read the file of a run folder and refuse one that is of another run, as copied folders may hold.

    Args:
        folder: The run folder.
        result: Its result.json; what that does not say is not compared.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged, or its split, counts, classes or their accuracies are not those of the result.
    """
    predictions = read_predictions(folder)
    found: dict[str, Any] = {
        "split": predictions.split,
        "total": len(predictions.labels),
        "correct": int(predictions.correct.sum()),
    }
    for name, value in found.items():
        if result.get(name, value) != value:
            raise _of_another_run(folder, f"{name} is {value} in it and {result[name]} in result.json")
    _compare_classes(predictions, result.get("per_class_accuracy"), folder)
    return predictions


def _compare_classes(predictions: Predictions, recorded: Any, folder: Path) -> None:
    if not isinstance(recorded, Mapping):
        return
    found = {
        predictions.classnames[label]: 100.0 * float(predictions.correct[predictions.labels == label].mean())
        for label in np.unique(predictions.labels).tolist()
    }
    if other := sorted(found.keys() ^ recorded.keys()):
        raise _of_another_run(folder, f"only one of it and result.json has images of class {other[0]!r}")
    for name, accuracy in found.items():
        if not isinstance(recorded[name], int | float) or abs(recorded[name] - accuracy) > _ROUNDING:
            raise _of_another_run(
                folder, f"accuracy of class {name!r} is {accuracy:.2f} in it and {recorded[name]} in result.json"
            )


def _of_another_run(folder: Path, difference: str) -> ValueError:
    return ValueError(f"{_WHAT} {folder / PREDICTIONS_FILE} is not this run's: {difference}")


def _check(predictions: Predictions) -> None:
    """Refuse parts that do not fit together."""
    num_images, num_classes = len(predictions.images), len(predictions.classnames)
    if num_images == 0 or num_classes == 0:
        raise ValueError(f"it has {num_images} images and {num_classes} classes")
    _check_labels("labels", predictions.labels, (num_images,), num_classes)
    shape = (num_images, min(NUM_KEPT, num_classes))
    pairs = [("top5", "top5_probabilities")]
    if (predictions.zero_shot_top5 is None) != (predictions.zero_shot_probabilities is None):
        raise ValueError("zero_shot_top5 and zero_shot_probabilities go together, it has one of them")
    if predictions.zero_shot_top5 is not None:
        pairs.append(("zero_shot_top5", "zero_shot_probabilities"))
    for labels, probabilities in pairs:
        _check_labels(labels, getattr(predictions, labels), shape, num_classes)
        _check_probabilities(probabilities, getattr(predictions, probabilities), shape)
    for name, values in predictions.extras.items():
        if values.shape != (num_images,):
            raise ValueError(f"{name} has shape {values.shape} for {num_images} images")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are not finite")
    if "aux_prediction" in predictions.extras:
        _check_labels("aux_prediction", predictions.extras["aux_prediction"], (num_images,), num_classes)


def _check_labels(name: str, values: Array, shape: tuple[int, ...], num_classes: int) -> None:
    if values.shape != shape or values.dtype != np.int32:
        raise ValueError(f"{name} is {values.dtype} {values.shape}, where int32 {shape} is wanted")
    if values.min() < 0 or values.max() >= num_classes:
        worst = int(values.min()) if values.min() < 0 else int(values.max())
        raise ValueError(f"{name} has label {worst}, but there are {num_classes} classes")


def _check_probabilities(name: str, values: Array, shape: tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype != np.float32:
        raise ValueError(f"{name} is {values.dtype} {values.shape}, where float32 {shape} is wanted")
    in_range = np.isfinite(values).all() and values.min() >= 0 and values.sum(axis=1).max() <= 1 + _ROUNDING
    if not in_range or (np.diff(values, axis=1) > _ROUNDING).any():
        raise ValueError(f"{name} are no probabilities, highest first")
