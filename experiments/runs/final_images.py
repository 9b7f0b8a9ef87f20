"""The figures of a finished run for TensorBoard, by the names that docs/tensorboard.md lists."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.results.attention import MAPS, AttentionMaps
from experiments.results.predictions import Predictions

Pixels = NDArray[np.uint8]
ATTENTION_ROWS = 4
_DPI = 80  # dots per inch; TensorBoard shows images small


def final_images(
    result: Mapping[str, Any], predictions: Predictions, attention: AttentionMaps | None
) -> Iterator[tuple[str, Pixels]]:
    """Yield tag and RGB pixels (H, W, 3) of each figure.

    Args:
        result: What the run's result.json holds.
        predictions: Its predictions.
        attention: Its attention maps, or None if it has none.

    Raises:
        OSError: If an image to draw attention over is gone or damaged.
    """
    from experiments.results.figures.confusion import confusion_figure  # here: matplotlib takes longer than some runs
    from experiments.results.figures.output import pixels
    from experiments.results.figures.reliability import reliability_figure
    from experiments.results.figures.response import response_figure

    figures: dict[str, Callable[[], Any]] = {
        "figures/confusion_matrix": lambda: confusion_figure(
            predictions.labels, predictions.predicted, predictions.classnames
        ),
        "figures/reliability": lambda: reliability_figure(_calibrations(result["trainer"], predictions)),
    }
    if "tuning" in result:
        figures["figures/tuning"] = lambda: response_figure(result["tuning"])
    for tag, draw in figures.items():
        yield tag, pixels(draw(), dpi=_DPI)
    if attention is not None:
        yield "figures/attention", _attention_sheet(predictions, attention)


def _calibrations(trainer: str, predictions: Predictions) -> dict[str, tuple[Any, Any]]:
    methods: dict[str, tuple[Any, Any]] = {}
    top, probabilities = predictions.zero_shot_top5, predictions.zero_shot_probabilities
    if top is not None and probabilities is not None and not np.array_equal(top, predictions.top5):
        methods["zero-shot"] = (probabilities[:, 0], top[:, 0] == predictions.labels)
    return {**methods, trainer: (predictions.confidence, predictions.correct)}


def _attention_sheet(predictions: Predictions, attention: AttentionMaps) -> Pixels:
    """Put images one below the other, each with the maps over it beside it, in the order of ``MAPS``.

    Pictures alone: the figure with captions takes a second of a run that may last three.
    """
    from dassl.utils import read_image
    from experiments.results.figures.attention import as_evaluated, overlay

    lines = []
    for number, row in enumerate(attention.rows[:ATTENTION_ROWS].tolist()):
        square = as_evaluated(read_image(str(Path(predictions.root, predictions.images[row]))))
        maps = [getattr(attention, name)[number].astype(float) for name in MAPS]
        peak = max(float(values.max()) for values in maps) or 1.0
        drawn = [overlay(square, values, peak) for values in maps]
        lines.append(np.concatenate([np.asarray(square.convert("RGB"), dtype=np.uint8), *drawn], axis=1))
    return np.concatenate(lines, axis=0)
