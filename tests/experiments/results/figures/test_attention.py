from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.results.figures.attention import AttentionRow, as_evaluated, attention_figure, overlay
from tests.experiments.results.figures.drawn import check_print, texts

PICTURE = Image.new("RGB", (300, 200), (10, 120, 200))


def row(
    image: Image.Image | Path | str = PICTURE, size: int = 7, caption: str = "true: cat\npredicted: dog"
) -> AttentionRow:
    rng = np.random.default_rng(size)
    first, second, third, fourth = rng.dirichlet(np.ones(size * size), size=4).reshape(4, size, size)
    return AttentionRow(image, first, second, third, fourth, caption)


@pytest.mark.parametrize("count", [1, 3])
def test_a_line_per_image(count: int, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "picture.png")
    rows = [row(tmp_path / "picture.png"), row(size=14), row(str(tmp_path / "picture.png"), size=2)][:count]
    figure = attention_figure(rows)
    assert len([axis for axis in figure.axes if axis.images]) == 5 * count
    assert {"class token,\nbefore tuning", "background token,\nafter tuning"} <= set(texts(figure))
    assert sum("true: cat\npredicted: dog\nlargest" in text for text in texts(figure)) == count
    check_print(figure)


def test_regions_are_sharp_squares_in_their_places() -> None:
    attention = np.array([[0.0, 0.1], [0.2, 0.4]])
    shown = overlay(Image.new("RGB", (224, 224), "black"), attention, 0.4).astype(int)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 4
    assert (shown[:112, :112] == shown[0, 0]).all() and (shown[112:, 112:] == shown[223, 223]).all()
    brightness = [shown[0, 0].sum(), shown[0, 223].sum(), shown[223, 0].sum(), shown[223, 223].sum()]
    assert brightness == sorted(brightness) and shown[223, 223, 0] > 100  # viridis ends in yellow


def test_the_centre_is_shown_as_evaluation_crops_it() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    shown = np.asarray(as_evaluated(image))
    assert shown.shape == (224, 224, 3) and (shown[:, 3:-3] == [0, 0, 255]).all()


def test_images_that_cannot_be_read_are_said_to_be_missing_or_damaged(tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"no image")
    figure = attention_figure([row(tmp_path / "nowhere.png"), row(tmp_path / "damaged.png")])
    assert {"image missing", "image damaged"} <= set(texts(figure))
    check_print(figure)


def test_no_maps() -> None:
    assert texts(attention_figure([])) == ["no attention maps in this run"]


def test_attention_of_nothing_is_drawn() -> None:
    zeros = np.zeros((2, 2))
    check_print(attention_figure([AttentionRow(PICTURE, zeros, zeros, zeros, zeros)]))


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        (np.ones(4), r"class_before must be \(h, w\), got \(4,\)"),
        (np.ones((0, 2)), r"got \(0, 2\)"),
        (np.full((2, 2), -0.1), "finite and 0 or more"),
        (np.full((2, 2), np.nan), "finite and 0 or more"),
    ],
)
def test_what_is_no_map_is_refused(attention: np.ndarray, message: str) -> None:  # type: ignore[type-arg]
    good = np.ones((2, 2))
    with pytest.raises(ValueError, match=message):
        attention_figure([AttentionRow(PICTURE, attention, good, good, good)])
