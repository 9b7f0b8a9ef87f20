"""Figures that cannot be: a table that believed them would be wrong without looking wrong."""

import math
from collections.abc import Mapping
from typing import Any

ROUNDING = 0.051  # logs give one decimal


def implausible(scores: Mapping[str, Any]) -> str:
    """Say what is wrong with the scores of an evaluation, "" if nothing is.

    Args:
        scores: Percentages by name; "total" and "correct" are counts of images.
    """
    for name, value in scores.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{name} is {value!r}, no number"
        if not math.isfinite(value):
            return f"{name} is {value}, no finite number"
        if name not in ("total", "correct") and not 0 <= value <= 100:
            return f"{name} is {value}, not a percentage from 0 to 100"
    total, correct = scores.get("total"), scores.get("correct")
    if total is not None and total <= 0:
        return f"it was evaluated on {total:g} images"
    if total is not None and correct is not None and abs(100 * correct / total - scores["accuracy"]) > ROUNDING:
        return f"accuracy {scores['accuracy']:g} does not fit {correct:g} correct of {total:g}"
    return ""
