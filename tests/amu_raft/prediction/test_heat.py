import numpy as np
import pytest
from PIL import Image

from amu_raft.prediction.heat import heat_over, painted


def test_sharp_regions_are_rectangles_of_one_colour() -> None:
    black = Image.new("RGB", (4, 4))
    drawn = np.asarray(heat_over(black, [[0.0, 2.0]], 2.0, resampling=Image.Resampling.NEAREST, heat_share=0.5))
    ends = painted(np.array([0.0, 1.0])).astype(int)
    assert (drawn[:, :2] == drawn[0, 0]).all() and (drawn[:, 2:] == drawn[0, 3]).all()
    assert np.abs(drawn[0, [0, 3]] - ends / 2).max() <= 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_share_is_between_picture_and_heat(share: float) -> None:
    red = Image.new("RGB", (8, 8), "red")
    drawn = np.asarray(heat_over(red, np.ones((2, 2)), 1.0, heat_share=share))
    expected = painted(np.ones(1))[0] if share else np.full(3, np.asarray(red.convert("L"))[0, 0])
    assert (drawn == expected).all()  # the picture's own colour never shows


def test_small_pictures_grow_and_no_attention_is_dark() -> None:
    drawn = heat_over(Image.new("RGB", (10, 300)), np.zeros((3, 3)), 0.0, side=64)
    assert drawn.size == (64, 300) and np.asarray(drawn).max() < 10
