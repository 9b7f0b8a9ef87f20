"""Arrays with a description in one file: safetensors, written whole or not at all, checked when it is read."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

Arrays = dict[str, NDArray[Any]]


def write_tensor_file(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any], path: Path) -> None:
    """Write arrays and what they are about, each value of which is kept as JSON.

    Raises:
        OSError: If the file cannot be written.
    """
    from dassl.utils.files import atomic_write  # imports torch, which readers can do without

    content = save(
        {name: np.ascontiguousarray(values) for name, values in arrays.items()},
        metadata={name: json.dumps(value) for name, value in about.items()},
    )
    with atomic_write(str(path), "wb") as stream:
        stream.write(content)


def read_tensor_file(path: Path, *, what: str, schema: int) -> tuple[Arrays, dict[str, Any]]:
    """Read arrays and what they are about.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or of another schema.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {what} {path}")
    content = path.read_bytes()
    try:
        arrays = load(content)
        (length,) = struct.unpack("<Q", content[:8])  # the header, which load() keeps to itself
        texts = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        about = {name: json.loads(text) for name, text in texts.items()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, what, f"no arrays can be read from it ({' '.join(str(error).split())})") from error
    if about.get("schema") != schema:
        raise damaged(path, what, f"its schema is {about.get('schema')!r}, not {schema}")
    return arrays, about


def damaged(path: Path, what: str, fault: str) -> ValueError:
    """Return the error that says what is wrong with a file, and what to do."""
    return ValueError(f"{what} {path} is damaged: {fault}; remove it, or evaluate once more")
