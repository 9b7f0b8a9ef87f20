"""MATLAB files, in which Oxford Flowers and Stanford Cars publish their labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def read_mat(path: Path, convert: Callable[[dict[str, Any]], T], *, form: str) -> T:
    """Read a MATLAB file and take what is needed out of it.

    Args:
        path: The file.
        convert: Turns the variables, with single elements taken out of their matrices, into what is needed.
        form: What the file should hold, for messages.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or holds something else.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise FileNotFoundError(f"no MATLAB file {path}")
    try:
        variables = loadmat(str(path), squeeze_me=True)
    except Exception as error:  # damage shows as any of a dozen exceptions: zlib.error, IndexError, MemoryError, ...
        raise ValueError(f"{path} is damaged, no MATLAB file ({_one_line(error)}); restore it") from None
    try:
        return convert(variables)
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
        raise ValueError(f"{path} does not hold {form}; restore it") from None


def class_labels(numbers: Any) -> list[int]:
    """Return the labels of classes that are counted from 1; MATLAB may store whole numbers in any type.

    Raises:
        ValueError: If one is no whole number from 1.
    """
    labels = [int(number) - 1 for number in numbers.tolist()]
    if not labels or any(label < 0 or label + 1 != number for label, number in zip(labels, numbers, strict=True)):
        raise ValueError("classes are whole numbers from 1")
    return labels


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
