"""Outlines of the twelve shapes and the slanted poses in which things are drawn."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

SHAPE_NAMES = (
    "circle",
    "square",
    "triangle",
    "star",
    "cross",
    "ring",
    "heart",
    "crescent",
    "arrow",
    "hexagon",
    "diamond",
    "pentagon",
)
POINTS_PER_OUTLINE = 96


def shape_outlines(name: str) -> list[Points]:
    """Return the closed outlines of a shape.

    Args:
        name: One of SHAPE_NAMES.

    Returns:
        One outline, or two for the ring, whose second one bounds its hole. Each is (POINTS_PER_OUTLINE, 2): x to the
        right and y downwards, within [-1, 1], points evenly spaced along the line so that it can be bent.

    Raises:
        ValueError: If there is no such shape.
    """
    if name not in _OUTLINES:
        raise ValueError(f"no shape {name!r}; available: {', '.join(SHAPE_NAMES)}")
    return [_evenly_spaced(outline) for outline in _OUTLINES[name]()]


def random_pose(
    rng: np.random.Generator, *, rotation: float = 0.3, shear: float = 0.25, log_aspect: float = 0.2
) -> Points:
    """Draw a random linear map: aspect, then shear, then rotation. Mirror images never occur.

    Args:
        rng: Source of randomness.
        rotation: Largest angle either way, in radians.
        shear: Largest horizontal shift per unit of height, either way.
        log_aspect: Largest absolute logarithm of width / height before the map is normalised to area 1.

    Returns:
        The map, (2, 2), with determinant 1; apply it as ``points @ pose.T``.
    """
    angle, slant, aspect = rng.uniform(-1.0, 1.0, 3) * (rotation, shear, log_aspect)
    stretch = np.diag([math.exp(aspect / 2), math.exp(-aspect / 2)])
    slanted = np.array([[1.0, slant], [0.0, 1.0]])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(turn @ slanted @ stretch)


def _evenly_spaced(outline: Points) -> Points:
    """Resample a closed outline at equal distances along its line."""
    closed = np.vstack([outline, outline[:1]])
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    stops = np.linspace(0.0, travelled[-1], POINTS_PER_OUTLINE, endpoint=False)
    return np.stack([np.interp(stops, travelled, closed[:, axis]) for axis in (0, 1)], axis=1)


def _arc(start: float, stop: float, *, radius: float = 1.0, centre: tuple[float, float] = (0.0, 0.0)) -> Points:
    angles = np.linspace(start, stop, POINTS_PER_OUTLINE)
    return np.stack([centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1)


def _polygon(corners: int, *, first: float = -math.pi / 2) -> Points:
    angles = first + 2 * math.pi * np.arange(corners) / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _star() -> Points:
    radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)[:, None]
    return np.asarray(_polygon(10) * radii)


def _heart() -> Points:
    t = np.linspace(0.0, 2 * math.pi, POINTS_PER_OUTLINE, endpoint=False)
    height = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([np.sin(t) ** 3, -(height + 2.5) / 16], axis=1)


def _crescent() -> Points:
    """A disc of radius 1 less a smaller one to its right; the two circles meet at two horns."""
    offset, inner = 0.45, 0.8
    x = (1.0 - inner**2 + offset**2) / (2 * offset)
    horn = math.acos(x)
    inner_horn = math.atan2(math.sin(horn), x - offset)
    outside = _arc(horn, 2 * math.pi - horn)
    inside = _arc(2 * math.pi - inner_horn, inner_horn, radius=inner, centre=(offset, 0.0))
    return np.asarray(np.vstack([outside, inside]) + np.array([0.15, 0.0]))


def _corners(*corners: tuple[float, float]) -> Points:
    return np.array(corners, dtype=np.float64)


_OUTLINES: dict[str, Callable[[], list[Points]]] = {
    "circle": lambda: [_arc(0.0, 2 * math.pi)[:-1]],
    "square": lambda: [_corners((-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8))],
    "triangle": lambda: [_polygon(3) + np.array([0.0, 0.2])],
    "star": lambda: [_star()],
    "cross": lambda: [
        _corners(
            *((-0.3, -0.95), (0.3, -0.95), (0.3, -0.3), (0.95, -0.3), (0.95, 0.3), (0.3, 0.3)),
            *((0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3), (-0.95, 0.3), (-0.95, -0.3), (-0.3, -0.3)),
        )
    ],
    "ring": lambda: [_arc(0.0, 2 * math.pi)[:-1], _arc(0.0, 2 * math.pi, radius=0.55)[:-1]],
    "heart": lambda: [_heart()],
    "crescent": lambda: [_crescent()],
    "arrow": lambda: [
        _corners((-0.95, -0.25), (0.15, -0.25), (0.15, -0.7), (0.95, 0), (0.15, 0.7), (0.15, 0.25), (-0.95, 0.25))
    ],
    "hexagon": lambda: [_polygon(6, first=0.0)],
    "diamond": lambda: [_corners((0.0, -1.0), (0.68, 0.0), (0.0, 1.0), (-0.68, 0.0))],
    "pentagon": lambda: [_polygon(5)],
}
