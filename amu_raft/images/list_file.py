"""Lists in text files, as many data sets are published with: one image or class per line."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SHOWN = 80  # characters of a line in a message


def read_list(path: Path, parse: Callable[[str], T], *, form: str) -> list[T]:
    """Parse every line that is neither blank nor a comment after "#".

    Args:
        path: The file, in UTF-8.
        parse: Turns a line, without blanks around it, into a value; ValueError or KeyError says that it does not fit.
        form: What a line looks like, for messages.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text, is empty, or has a line that does not fit.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no list {path}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text file ({error}); restore it") from None
    values = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line and not line.startswith("#"):
            try:
                values.append(parse(line))
            except (ValueError, KeyError):
                raise ValueError(f"{path}, line {number}: {line[:SHOWN]!r} is not {form}") from None
    if not values:
        raise ValueError(f"{path} has no lines; restore it")
    return values


def class_number(text: str) -> int:
    """Return the label of a class that is counted from 1.

    Raises:
        ValueError: If the text is no number from 1.
    """
    label = int(text) - 1
    if label < 0:
        raise ValueError(f"class {text} is below 1")
    return label
