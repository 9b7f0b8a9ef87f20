"""Pictures as a caller of the Python API has them: paths, Pillow images or arrays."""

import os
from collections.abc import Iterable, Sized
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from amu_raft.images.pixels import PixelRecipe
from dassl.utils.images import read_image, to_rgb

ACCEPTED = "a path, a Pillow image or a uint8 array (H, W, 3) or (H, W)"


def is_path(item: Any) -> bool:
    """Tell whether a picture is given as the path of a file."""
    return isinstance(item, (str, os.PathLike))


def as_list(images: Any) -> list[Any]:
    """Return pictures one by one.

    Args:
        images: A sequence, an array (N, H, W, 3) or (N, H, W), an array of paths, or a column of a table.

    Raises:
        ValueError: If it is a single picture.
        TypeError: If it cannot be gone through.
    """
    if is_path(images) or isinstance(images, (bytes, Image.Image)) or _is_single(images):
        raise ValueError("a list of images is wanted, not a single one; write [image]")
    if not isinstance(images, Iterable):
        raise TypeError(f"a list of images is wanted, not a {type(images).__name__}")
    return list(images)


def _is_single(images: Any) -> bool:
    """Tell one picture as an array; (H, W, 3) would else be taken for H grey ones that are 3 pixels wide."""
    if not isinstance(images, np.ndarray) or images.shape == (0,):
        return False
    if not _is_numbers(images):
        return images.ndim == 0
    return images.ndim < 3 or (images.ndim == 3 and images.shape[2] in (3, 4))


def rgb_of(item: Any, number: int) -> Image.Image:
    """Return a picture as RGB, as files are read.

    Args:
        item: The picture.
        number: Its place in the list, for messages.

    Raises:
        OSError: If a file, which the message names, cannot be read.
        ValueError: If it is an array of another shape or type, or has no pixels.
        TypeError: If it is none of what is accepted.
    """
    if is_path(item):
        return read_image(os.fspath(item))
    if isinstance(item, Image.Image):
        return _of_pillow(item, number)
    if not _is_numbers(item):
        raise TypeError(f"image {number} is a {type(item).__name__}; accepted is {ACCEPTED}")
    if item.dtype != np.uint8:
        raise ValueError(f"image {number} has values of type {item.dtype}; accepted is {ACCEPTED}")
    if item.size == 0 or not (item.ndim == 2 or (item.ndim == 3 and item.shape[2] == 3)):
        raise ValueError(f"image {number} is an array of shape {item.shape}; accepted is {ACCEPTED}")
    return Image.fromarray(np.ascontiguousarray(item)).convert("RGB")


def square_of(item: Any, number: int, recipe: PixelRecipe) -> Tensor:
    """Return what the encoders see of a picture, (size, size, 3), uint8.

    Raises:
        OSError, ValueError or TypeError: As ``rgb_of``.
        ValueError: If it is too narrow.
    """
    picture = rgb_of(item, number)
    try:
        return recipe.square(picture)
    except ValueError as error:
        raise ValueError(f"image {number}{f' ({os.fspath(item)})' if is_path(item) else ''}: {error}") from error


def _of_pillow(item: Image.Image, number: int) -> Image.Image:
    if 0 in item.size:
        raise ValueError(f"image {number} has no pixels, its size is {item.size}")
    try:
        return to_rgb(item)
    except Exception as error:  # an image that was opened lazily fails in any of Pillow's ways
        raise OSError(f"image {number} cannot be read ({type(error).__name__}: {error})") from error


def _is_numbers(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype.kind in "biufc"


def check_lengths(images: Sized, labels: Sized) -> None:
    """Refuse images and labels that do not go together.

    Raises:
        ValueError: If there are none, or not as many of one as of the other.
    """
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images but {len(labels)} labels; one label per image is wanted")
    if len(images) == 0:
        raise ValueError("no images were given")
