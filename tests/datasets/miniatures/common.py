"""Miniature data sets: a few tiny JPEGs per class in the layout, and with the quirks, that the real one has on disk."""

import functools
import importlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MODULES = ("coop", "imagenet")
PART_SIZES = {"train": 5, "val": 2, "test": 2}  # images per class


def build_miniature(name: str, root: Path, **options: Any) -> Path:
    """Write the miniature of the data set with that registry name below ``root`` and return its folder."""
    root.mkdir(parents=True, exist_ok=True)
    return find_builder(name)(root, **options)


def find_builder(name: str) -> Callable[..., Path]:
    """Return the builder of the data set with that registry name."""
    for module in MODULES:
        builders: dict[str, Callable[..., Path]] = importlib.import_module(
            f"tests.datasets.miniatures.{module}"
        ).BUILDERS
        if name in builders:
            return builders[name]
    raise AssertionError(f"no miniature of {name!r}")


def write_jpeg(path: Path, label: int, index: int, size: tuple[int, int] = (32, 32)) -> Path:
    """Write an image whose colour and stripes tell its class, and whose noise tells it from others of the class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg_bytes(label, index, size))
    return path


@functools.cache
def jpeg_bytes(label: int, index: int, size: tuple[int, int]) -> bytes:
    """Return the file of the image; the same arguments give the same bytes."""
    class_random = np.random.RandomState(1000 + label)
    colour, other = class_random.randint(20, 236, (2, 3))
    width, height = size
    rows = np.arange(height) // (2 + label % 5) % 2 == 0
    pixels = np.where(rows[:, None, None], colour, other) * np.ones((height, width, 1))
    noise = np.random.RandomState(100_000 + 1000 * label + index).normal(0, 12, pixels.shape)
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def write_split(path: Path, rows: dict[str, list[list[Any]]]) -> None:
    """Write a split file as the published ones are written: indented by four, no newline at the end."""
    path.write_text(json.dumps(rows, indent=4, separators=(",", ": ")))


def write_prompts(path: Path, classnames: list[str], *, sentences: int = 3) -> None:
    """Write a file of sentences by class name, in whose keys "_" is a blank, as in the published ones."""
    names = [name.replace("_", " ") for name in dict.fromkeys(classnames)]
    path.write_text(json.dumps({name: [f"A {name}, seen {i + 1} times." for i in range(sentences)] for name in names}))
