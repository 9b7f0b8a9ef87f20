"""Small copies of images, and of attention over them, to stand inside the page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from amu_raft.prediction.heat import heat_over, painted

SIDE = 112
QUALITY = 72


@dataclass(frozen=True)
class Picture:
    """An image of the page; ``source`` is a data URI, empty where there is only the note why it is missing."""

    alt: str
    source: str = ""
    width: int = SIDE
    height: int = SIDE
    note: str = ""


def open_square(root: str, name: str, side: int = SIDE) -> Image.Image | str:
    """Return the centre square of an image, as evaluation crops it, or a note why it cannot be shown.

    Args:
        root: Folder of the images.
        name: Path below it, with "/".
        side: Pixels of the square at most; smaller images stay as they are.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or ":" in name:
        return "not shown: its path leads out of the folder of the images"
    path = Path(root) / relative
    if not path.is_file():
        return "image file not found"
    from dassl.utils.images import open_image, to_rgb  # here, because its package imports torch

    try:
        with open_image(str(path)) as opened:
            opened.draft("RGB", (2 * side, 2 * side))  # lets JPEG files be decoded small
            image = to_rgb(opened)
    except Exception as error:  # whatever Pillow raises at a damaged file, which depends on the format
        return f"image file cannot be read ({type(error).__name__})"
    width, height = image.size
    length = min(width, height)
    left, top = (width - length) // 2, (height - length) // 2
    goal = min(length, side)
    return image.resize((goal, goal), Image.Resampling.LANCZOS, box=(left, top, left + length, top + length))


def picture(image: Image.Image | str, alt: str) -> Picture:
    """Encode an image for the page; a note instead of one becomes a placeholder."""
    if isinstance(image, str):
        return Picture(alt, note=image)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY, method=4)
    return Picture(alt, "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode())


def overlay(image: Image.Image, attention: NDArray[Any], highest: float) -> Image.Image:
    """Lay attention (h, w) over a square image, which is enlarged to a thumbnail if it is smaller."""
    return heat_over(image, attention, highest, side=SIDE)


def colour_scale() -> Picture:
    """Return the colours of the overlays from none to the most attention, for a legend."""
    steps = painted(np.linspace(0, 1, 128))[None]
    shown = picture(Image.fromarray(np.repeat(steps, 8, axis=0)), "")
    return Picture("from dark, no attention, to bright, the most", shown.source, 128, 8)
