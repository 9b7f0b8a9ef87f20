"""Draw the Shapes data set's images: wobbly outlines, scanned coarsely, unlike the pretraining's clean renderings."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from datasets.outlines import Points

SCAN_PIXELS = 12
PIXELS_PER_SCAN_PIXEL = 16
GREY_LEVELS = 16


def draw_shape(name: str, index: int, *, size: int = 64, seed: int = 0) -> Image.Image:
    """Draw one hand-drawn-looking outline, white on black.

    The outline is posed at random, made to wobble along its line and warped as a whole, drawn with a pen of random
    width, scanned at SCAN_PIXELS x SCAN_PIXELS in GREY_LEVELS greys and enlarged bicubically.

    Args:
        name: One of datasets.outlines.SHAPE_NAMES.
        index: Which drawing of this shape, 0 or more. The same name, index and seed give the same drawing.
        size: Width and height in pixels, at least 1.
        seed: Which series of drawings, 0 or more.

    Returns:
        An RGB image.

    Raises:
        ValueError: If there is no such shape, or index, size or seed is out of range.
    """
    for what, value, least in (("index", index, 0), ("size", size, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"{what} of a drawing must be at least {least}, not {value}")
    # Imported when drawing: a program that takes only this package from the repository reads other data sets.
    from datasets.outlines import SHAPE_NAMES, shape_outlines

    outlines = shape_outlines(name)
    rng = np.random.default_rng([seed, SHAPE_NAMES.index(name), index])
    scan = _scan(_sketched(outlines, rng), rng)
    return scan.resize((size, size), Image.Resampling.BICUBIC).convert("RGB")


def _sketched(outlines: "list[Points]", rng: np.random.Generator) -> "list[Points]":
    """Pose, warp and wobble outlines, then fit them onto a unit square with a margin for the pen."""
    from datasets.outlines import random_pose

    pose = random_pose(rng, rotation=0.35, shear=0.25, log_aspect=0.25)
    warp = _random_warp(rng)
    drawn = [_wobbly(warp(outline @ pose.T), rng) for outline in outlines]
    low, high = np.vstack(drawn).min(axis=0), np.vstack(drawn).max(axis=0)
    scale = rng.uniform(0.50, 0.72) / (high - low).max()
    centre = 0.5 + rng.uniform(-0.04, 0.04, 2)
    return [(outline - (low + high) / 2) * scale + centre for outline in drawn]


def _random_warp(rng: np.random.Generator) -> "Callable[[Points], Points]":
    """Draw a smooth displacement of the plane: two waves of random direction for each axis."""
    directions = rng.uniform(-2.2, 2.2, (2, 2, 2))
    phases = rng.uniform(0, 2 * math.pi, (2, 2))
    sizes = rng.uniform(0.03, 0.11, (2, 2))

    def warp(points: "Points") -> "Points":
        waves = np.sin(np.einsum("awk,pk->paw", directions, points) + phases)
        return np.asarray(points + (sizes * waves).sum(axis=2))

    return warp


def _wobbly(outline: "Points", rng: np.random.Generator) -> "Points":
    """Let the pen stray from the line: a few waves along it, and ends that miss each other a little."""
    along = np.linspace(0.0, 2 * math.pi, len(outline), endpoint=False)
    stray = np.zeros_like(outline)
    for waves in (2, 3, 5, 8):
        phase = rng.uniform(0, 2 * math.pi, 2)
        stray += rng.uniform(0, 0.07, 2) / math.sqrt(waves) * np.sin(waves * along[:, None] + phase)
    gap = np.linspace(-0.5, 0.5, len(outline))[:, None] * rng.uniform(-0.12, 0.12, 2)
    return np.asarray(np.roll(outline, int(rng.integers(len(outline))), axis=0) + stray + gap)


def _scan(outlines: "list[Points]", rng: np.random.Generator) -> Image.Image:
    """Draw outlines on the unit square and reduce the sheet to a few grey pixels."""
    sheet = SCAN_PIXELS * PIXELS_PER_SCAN_PIXEL
    canvas = Image.new("L", (sheet, sheet))
    pen = ImageDraw.Draw(canvas)
    width = round(rng.uniform(0.055, 0.115) * sheet)
    for outline in outlines:
        corners = [tuple(point) for point in (outline * sheet).tolist()]
        pen.line([*corners, *corners[:2]], fill=255, width=width, joint="curve")
    ink = np.asarray(canvas.reduce(PIXELS_PER_SCAN_PIXEL), dtype=np.float64) / 255
    steps = np.round(ink * (GREY_LEVELS - 1))
    return Image.fromarray(np.round(steps * 255 / (GREY_LEVELS - 1)).astype(np.uint8))
