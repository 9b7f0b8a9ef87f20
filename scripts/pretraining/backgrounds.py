"""Backgrounds in seven styles, none of whose colours comes close to that of the object in front."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from scripts.pretraining.captions import BACKGROUNDS

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.float32]
LEAST_CONTRAST = 110.0


def draw_background(style: str, size: int, rng: np.random.Generator, *, avoid: Colour | None = None) -> Image.Image:
    """Draw a background.

    Args:
        style: One of BACKGROUNDS.
        size: Width and height in pixels.
        rng: Source of randomness.
        avoid: Colour (RGB, 0 to 255) that the background's colours keep LEAST_CONTRAST away from.

    Raises:
        ValueError: If there is no such style.
    """
    if style not in BACKGROUNDS:
        raise ValueError(f"no background style {style!r}; available: {', '.join(BACKGROUNDS)}")
    if style == "cluttered":
        return _cluttered(size, rng, avoid)
    pixels = _STYLES[style](size, rng, _random_colour(rng, avoid), _random_colour(rng, avoid))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _random_colour(rng: np.random.Generator, avoid: Colour | None) -> npt.NDArray[np.float64]:
    while True:
        colour = rng.uniform(0, 255, 3)
        if avoid is None or np.linalg.norm(colour - np.array(avoid)) >= LEAST_CONTRAST:
            return colour


def _apart(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Move the second colour towards black or white until a pattern of the two can be seen."""
    if np.linalg.norm(first - second) >= 60:
        return second
    return np.asarray(second + (70 if second.mean() < 128 else -70))


def _waves(size: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Two phases at right angles over the image, one turn per 8 to 24 pixels."""
    angle, frequency = rng.uniform(0, math.pi), 2 * math.pi / rng.uniform(8, 24)
    y, x = np.mgrid[:size, :size]
    along = frequency * (x * math.cos(angle) + y * math.sin(angle)) + rng.uniform(0, 2 * math.pi)
    across = frequency * (y * math.cos(angle) - x * math.sin(angle)) + rng.uniform(0, 2 * math.pi)
    return along, across


def _mix(share: npt.NDArray[np.floating], a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Pixels:
    return np.asarray(a + share[..., None] * (b - a), dtype=np.float32)


def _plain(size: int, rng: np.random.Generator, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Pixels:
    return np.broadcast_to(a.astype(np.float32), (size, size, 3))


def _gradient(size: int, rng: np.random.Generator, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Pixels:
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[:size, :size] / (size - 1) - 0.5
    return _mix(np.clip(0.5 + x * math.cos(angle) + y * math.sin(angle), 0, 1), a, _apart(a, b))


def _striped(size: int, rng: np.random.Generator, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Pixels:
    along, _ = _waves(size, rng)
    return _mix((np.sin(along) > 0).astype(np.float32), a, _apart(a, b))


def _checkered(size: int, rng: np.random.Generator, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Pixels:
    along, across = _waves(size, rng)
    return _mix((np.sin(along) * np.sin(across) > 0).astype(np.float32), a, _apart(a, b))


def _dotted(size: int, rng: np.random.Generator, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Pixels:
    along, across = _waves(size, rng)
    return _mix((np.cos(along) + np.cos(across) > 1.0).astype(np.float32), a, _apart(a, b))


def _noisy(size: int, rng: np.random.Generator, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Pixels:
    grain = rng.standard_normal((size, size, 3), dtype=np.float32)
    return np.asarray(a + rng.uniform(20, 45) * grain, dtype=np.float32)


def _cluttered(size: int, rng: np.random.Generator, avoid: Colour | None) -> Image.Image:
    """Eight to twenty short lines and small discs on a plain colour."""

    def colour() -> Colour:
        red, green, blue = _random_colour(rng, avoid).astype(int)
        return int(red), int(green), int(blue)

    image = Image.new("RGB", (size, size), colour())
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 21))):
        x, y, dx, dy = rng.uniform(-0.1, 1.1, 2).tolist() + rng.uniform(-0.15, 0.15, 2).tolist()
        x, y, dx, dy = (value * size for value in (x, y, dx, dy))
        if rng.random() < 0.6:
            pen.line([(x - dx, y - dy), (x + dx, y + dy)], fill=colour(), width=int(rng.integers(1, 4)))
        else:
            radius = rng.uniform(0.02, 0.07) * size
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour())
    return image


_Painter = Callable[[int, np.random.Generator, npt.NDArray[np.float64], npt.NDArray[np.float64]], Pixels]
_STYLES: dict[str, _Painter] = {
    "plain": _plain,
    "striped": _striped,
    "checkered": _checkered,
    "dotted": _dotted,
    "noisy": _noisy,
    "gradient": _gradient,
}
