import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amu_raft.images.given_images import as_list, check_lengths, is_path, rgb_of, square_of
from amu_raft.images.pixels import PixelRecipe


def test_pictures_become_rgb(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colours = np.stack([grey, grey + 20, grey + 40], axis=-1)
    Image.fromarray(colours).save(tmp_path / "picture.png")
    for given in (colours, Image.fromarray(colours), tmp_path / "picture.png", np.asfortranarray(colours)):
        np.testing.assert_array_equal(np.asarray(rgb_of(given, 0)), colours)
    np.testing.assert_array_equal(np.asarray(rgb_of(grey, 0)), np.stack([grey] * 3, axis=-1))
    assert rgb_of(Image.new("RGBA", (1, 1), (0, 0, 0, 0)), 0).getpixel((0, 0)) == (255, 255, 255)
    assert is_path("a") and is_path(tmp_path) and not is_path(grey)


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        (np.zeros((4, 4, 3)), ValueError, "image 7 has values of type float64; accepted is a path"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"image 7 is an array of shape \(4, 4, 4\)"),
        (np.zeros((0, 4), np.uint8), ValueError, r"image 7 is an array of shape \(0, 4\)"),
        (Image.new("RGB", (0, 4)), ValueError, "image 7 has no pixels"),
        (3, TypeError, "image 7 is a int; accepted is a path"),
        (None, TypeError, "image 7 is a NoneType"),
    ],
)
def test_what_is_no_picture(item: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rgb_of(item, 7)


def test_a_picture_that_was_opened_but_is_cut_short() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (64, 64, 3)).astype(np.uint8)).save(stream, "PNG")
    cut = Image.open(io.BytesIO(stream.getvalue()[:2000]))
    with pytest.raises(OSError, match="image 3 cannot be read"):
        rgb_of(cut, 3)


def test_one_picture_is_no_list() -> None:
    arrays = [np.zeros((*shape, *depth), np.uint8) for shape in ((4, 4), (5, 6)) for depth in ((), (3,), (4,))]
    for single in ("a.png", Path("a.png"), b"x", Image.new("RGB", (2, 2)), np.array("a.png"), *arrays):
        with pytest.raises(ValueError, match="a list of images is wanted"):
            as_list(single)
    with pytest.raises(TypeError, match="not a int"):
        as_list(3)
    assert len(as_list(np.zeros((5, 4, 6), np.uint8))) == 5 and as_list(iter("ab")) == ["a", "b"]


def test_arrays_of_paths_and_of_nothing() -> None:
    for kind in (str, object):
        assert as_list(np.array(["a.png", "b.png"], dtype=kind)) == ["a.png", "b.png"]
        assert all(map(is_path, as_list(np.array(["a.png", "b.png"], dtype=kind))))
    assert as_list(np.array([])) == as_list([]) == as_list(np.zeros((0, 4, 4, 3), np.uint8)) == []


def test_a_picture_that_is_too_narrow_is_named(tmp_path: Path) -> None:
    narrow = Image.new("1", (1, 9_000_000))
    narrow.save(tmp_path / "narrow.png")
    for given, name in ((narrow, "image 2"), (tmp_path / "narrow.png", r"image 2 \(.*narrow\.png\)")):
        with pytest.raises(ValueError, match=f"{name}: 1 x 9000000 pixels are too narrow"):
            square_of(given, 2, PixelRecipe(8, "bicubic"))


def test_lengths() -> None:
    check_lengths([1, 2], ["a", "b"])
    with pytest.raises(ValueError, match="2 images but 1 labels"):
        check_lengths([1, 2], ["a"])
    with pytest.raises(ValueError, match="no images"):
        check_lengths([], [])
