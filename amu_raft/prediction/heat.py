"""Heat over a picture: how attention is laid over what it belongs to, in reports, figures and explanations."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

COLOURS = "magma"  # brightness rises evenly with attention, also for colour-blind readers and in grey


def heat_over(
    picture: Image.Image,
    attention: ArrayLike,
    highest: float,
    *,
    side: int = 0,
    colours: str = COLOURS,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
    heat_share: float = 0.65,
) -> Image.Image:
    """Lay attention over a picture: the picture in grey, the colours from none to the most.

    Args:
        picture: What was looked at; its own colours would be taken for attention.
        attention: Of the regions, (h, w), at least 0.
        highest: The attention that gets the last colour; the same for all maps that are to be compared.
        side: Pixels that the result has at least, each way; a small picture is enlarged.
        colours: Name of matplotlib's map of colours.
        resampling: How regions become pixels: ``NEAREST`` leaves each a rectangle with sharp edges.
        heat_share: How far colours cover the picture, 0 to 1.
    """
    scaled = np.clip(np.asarray(attention, np.float32) / max(highest, 1e-12), 0, 1)
    size = (max(picture.width, side), max(picture.height, side))
    heat = Image.fromarray(painted(np.asarray(Image.fromarray(scaled).resize(size, resampling)), colours))
    grey = picture.convert("L").convert("RGB").resize(size, Image.Resampling.BICUBIC)
    return Image.blend(heat, grey, 1 - heat_share)


def painted(shares: NDArray[Any], colours: str = COLOURS) -> NDArray[np.uint8]:
    """Return the colours of numbers from 0 to 1, (..., 3)."""
    from matplotlib import colormaps  # half a second

    found: NDArray[np.uint8] = (colormaps[colours](shares)[..., :3] * 255).round().astype(np.uint8)
    return found
