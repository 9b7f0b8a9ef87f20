"""attention.safetensors: where a pooling looks in some images, before and after tuning. Needs numpy, not torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.results.predictions import Predictions
from experiments.results.tensor_file import damaged, read_tensor_file, write_tensor_file

ATTENTION_FILE = "attention.safetensors"
SCHEMA = 1
MAX_IMAGES = 64
MAPS = ("class_before", "class_after", "background_before", "background_after")
_WHAT = "attention file"
_ROUNDING = 1e-4
Array = NDArray[Any]


@dataclass(frozen=True)
class AttentionMaps:
    """Attention of a token over the h x w regions of M images, averaged over heads; the rest is on the mean tokens.

    Attributes:
        rows: Which rows of the predictions the images are, (M,) int64.
        class_before: (M, h, w) float32, frozen CLIP's own pooling, whose one token both tuned ones start from.
        class_after: (M, h, w), class token of the tuned pooling.
        background_before: (M, h, w), the same as ``class_before``.
        background_after: (M, h, w), background token of the tuned pooling.
    """

    rows: Array
    class_before: Array
    class_after: Array
    background_before: Array
    background_after: Array


def choose_rows(predictions: Predictions, limit: int = MAX_IMAGES) -> Array:
    """Return which images are looked at closer: wrong ones first, then others, both in order, (M <= limit,) int64."""
    wrong_first = np.argsort(predictions.correct, kind="stable")
    return wrong_first[:limit].astype(np.int64)


def write_attention(attention: AttentionMaps, folder: Path) -> None:
    """Write the file into a run folder, in place of an earlier one.

    Raises:
        OSError: If it cannot be written.
        ValueError: If the parts do not fit together.
    """
    _check(attention)
    write_tensor_file(vars(attention), {"schema": SCHEMA}, folder / ATTENTION_FILE)


def read_attention(folder: Path, num_images: int) -> AttentionMaps:
    """Read the file of a run folder.

    Args:
        folder: The run folder.
        num_images: Images in the predictions beside it.

    Raises:
        FileNotFoundError: If there is none, as for methods that attend to nothing.
        ValueError: If it is damaged, or its parts do not fit together or to the predictions.
    """
    path = folder / ATTENTION_FILE
    arrays, _ = read_tensor_file(path, what=_WHAT, schema=SCHEMA)
    for name in ("rows", *MAPS):
        if name not in arrays:
            raise damaged(path, _WHAT, f"it has no {name}")
    attention = AttentionMaps(**{name: arrays[name] for name in ("rows", *MAPS)})
    try:
        _check(attention)
        if attention.rows.max() >= num_images:
            raise ValueError(f"row {attention.rows.max()} is none of the {num_images} images predicted")
    except ValueError as error:
        raise damaged(path, _WHAT, str(error)) from error
    return attention


def _check(attention: AttentionMaps) -> None:
    """Refuse parts that do not fit together."""
    rows = attention.rows
    if rows.ndim != 1 or rows.dtype != np.int64 or len(rows) == 0:
        raise ValueError(f"rows is {rows.dtype} {rows.shape}, where int64 (M,) is wanted")
    if rows.min() < 0 or len(np.unique(rows)) != len(rows):
        raise ValueError("rows has a number twice, or below 0")
    shape = (len(rows), *attention.class_before.shape[1:])
    for name in MAPS:
        values = getattr(attention, name)
        if values.ndim != 3 or not values.size or values.shape != shape or values.dtype != np.float32:
            raise ValueError(f"{name} is {values.dtype} {values.shape}, where float32 {shape} is wanted")
        if not (np.isfinite(values).all() and values.min() >= 0 and values.sum(axis=(1, 2)).max() <= 1 + _ROUNDING):
            raise ValueError(f"{name} is no attention, which is at least 0 and adds up to at most 1")
