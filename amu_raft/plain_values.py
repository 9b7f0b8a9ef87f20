"""Plain values of files that anybody may have written."""

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
