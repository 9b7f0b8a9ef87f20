"""Small copies of images, and of attention over them, to stand inside the page."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 112
QUALITY = 72
COLOURS = "magma"  # brightness rises evenly with attention, also for colour-blind readers and in grey
_GREY_SHARE = 0.35


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
    """Lay attention over an image: the image in grey, the colours from dark (none) to bright (the most).

    Args:
        image: The square image, (H, W).
        attention: Attention of the regions, (h, w), at least 0.
        highest: The attention that is shown brightest; the same for all maps that are to be compared.
    """
    from matplotlib import colormaps

    scaled = np.clip(np.asarray(attention, np.float32) / max(highest, 1e-12), 0, 1)
    side = (max(image.width, SIDE), max(image.height, SIDE))
    smooth = Image.fromarray(scaled).resize(side, Image.Resampling.BILINEAR)
    colours = Image.fromarray((colormaps[COLOURS](np.asarray(smooth))[..., :3] * 255).round().astype(np.uint8))
    grey = image.convert("L").convert("RGB").resize(side, Image.Resampling.BICUBIC)
    return Image.blend(colours, grey, _GREY_SHARE)


def colour_scale() -> Picture:
    """Return the colours of the overlays from none to the most attention, for a legend."""
    from matplotlib import colormaps

    steps = (colormaps[COLOURS](np.linspace(0, 1, 128))[None, :, :3] * 255).round().astype(np.uint8)
    shown = picture(Image.fromarray(np.repeat(steps, 8, axis=0)), "")
    return Picture("from dark, no attention, to bright, the most", shown.source, 128, 8)
