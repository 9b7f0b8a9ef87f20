"""Plain values of files that anybody may have written."""

import ast
import math
from typing import Any


def number(value: Any, name: str) -> float:
    """Return a finite number.

    Raises:
        ValueError: If it is none.
    """
    try:
        if not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value):
            return float(value)
    except OverflowError:  # whole numbers know no limit
        pass
    raise ValueError(f'"{name}" must be a finite number, got {str(value)[:40]}')


def as_literal(value: Any) -> Any:
    """Return what a word stands for, a number or a tuple for instance; the word itself if it stands for nothing."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the last two: too many signs or brackets
        return value
