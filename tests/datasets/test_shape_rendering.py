from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets import shape_rendering
from datasets.outlines import SHAPE_NAMES, shape_outlines
from datasets.shape_rendering import draw_shape


def pixels(*arguments: Any, **options: Any) -> Any:
    return np.asarray(draw_shape(*arguments, **options))


@pytest.mark.parametrize("name", SHAPE_NAMES)
def test_a_drawing_is_white_on_black_and_inside_the_frame(name: str) -> None:
    drawing = draw_shape(name, 0)
    assert (drawing.size, drawing.mode) == ((64, 64), "RGB")
    values = np.asarray(drawing).astype(int)
    assert (values == values[..., :1]).all(), "grey only"
    assert values.max() > 150
    frame = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    assert frame.mean() < 30, "the line may touch the frame but not run along it"
    assert 0.03 < (values > 127).mean() < 0.45, "a line, not a filled shape and not nothing"


def test_the_same_name_index_and_seed_give_the_same_drawing() -> None:
    np.testing.assert_array_equal(pixels("star", 3, seed=5), pixels("star", 3, seed=5))


def test_drawings_differ_by_name_index_and_seed() -> None:
    drawings = [pixels("star", 3, seed=5), pixels("ring", 3, seed=5), pixels("star", 4, seed=5), pixels("star", 3)]
    for i, one in enumerate(drawings):
        assert not any(np.array_equal(one, other) for other in drawings[:i])


def test_drawing_leaves_the_global_random_state_alone() -> None:
    state: Any = np.random.get_state()
    before = state[1].copy()
    draw_shape("heart", 1)
    state = np.random.get_state()
    np.testing.assert_array_equal(before, state[1])


def test_a_scan_has_twelve_pixels_across_and_sixteen_greys() -> None:
    outlines = shape_rendering._sketched(shape_outlines("heart"), np.random.default_rng(0))
    scan = np.asarray(shape_rendering._scan(outlines, np.random.default_rng(0)))
    assert scan.shape == (12, 12)
    assert set(np.unique(scan)) <= {17 * level for level in range(16)}


def test_size_scales_the_same_drawing() -> None:
    small = draw_shape("cross", 2, size=32)
    assert small.size == (32, 32)
    shrunk = np.asarray(draw_shape("cross", 2).resize((32, 32), Image.Resampling.BOX)).astype(int)
    assert np.abs(shrunk - np.asarray(small)).mean() < 6


def test_a_hollow_shape_is_dark_in_the_middle() -> None:
    middles = [pixels("circle", index)[28:36, 28:36].mean() for index in range(10)]
    assert np.mean(middles) < 40


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("blob", 0), {}, "no shape 'blob'; available: circle, square"),
        (("star", -1), {}, "index of a drawing must be at least 0, not -1"),
        (("star", 0), {"size": 0}, "size of a drawing must be at least 1, not 0"),
        (("star", 0), {"seed": -2}, "seed of a drawing must be at least 0, not -2"),
    ],
)
def test_bad_input_is_named(arguments: Any, options: Any, message: Any) -> None:
    with pytest.raises(ValueError, match=message):
        draw_shape(*arguments, **options)
