import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.results.report.thumbnails import SIDE, colour_scale, open_square, overlay, picture


def written(folder: Path, size: tuple[int, int], name: str = "x.png") -> str:
    image = Image.new("RGB", size, (255, 0, 0))
    image.paste((0, 0, 255), ((size[0] - min(size)) // 2, 0, (size[0] + min(size)) // 2, size[1]))
    image.save(folder / name)
    return name


def test_the_centre_square_is_shown_small(tmp_path: Path) -> None:
    image = open_square(str(tmp_path), written(tmp_path, (600, 300)))
    assert isinstance(image, Image.Image) and image.size == (SIDE, SIDE)
    assert np.asarray(image)[..., 2].min() > 200, "the red sides are cut off"


def test_small_images_are_not_blown_up(tmp_path: Path) -> None:
    image = open_square(str(tmp_path), written(tmp_path, (20, 10)))
    assert isinstance(image, Image.Image) and image.size == (10, 10)


def test_jpeg_is_read(tmp_path: Path) -> None:
    image = open_square(str(tmp_path), written(tmp_path, (900, 300), "x.jpg"))
    assert isinstance(image, Image.Image) and np.asarray(image)[..., 2].min() > 200


def test_images_are_shown_as_the_model_saw_them(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera lay on its side
    image = Image.new("RGB", (64, 64), "black")
    image.paste("white", (0, 0, 64, 32))
    image.save(tmp_path / "phone.jpg", exif=turned)
    Image.fromarray(np.full((64, 64), 32768, np.uint16)).save(tmp_path / "deep.png")
    phone, deep = (open_square(str(tmp_path), name) for name in ("phone.jpg", "deep.png"))
    assert isinstance(phone, Image.Image) and isinstance(deep, Image.Image)
    assert np.asarray(phone)[:, :28].mean() < 20 and np.asarray(phone)[:, 36:].mean() > 235
    assert np.asarray(deep).min() == np.asarray(deep).max() == 128


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png", "C:/x.png"])
def test_paths_out_of_the_folder_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "inner").mkdir()
    written(tmp_path, (9, 9))
    assert open_square(str(tmp_path / "inner"), name) == "not shown: its path leads out of the folder of the images"


def test_missing_and_damaged_images_leave_a_note(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    whole = (tmp_path / written(tmp_path, (50, 50))).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    assert open_square(str(tmp_path), "none.png") == "image file not found"
    for name in ("bad.png", "cut.png"):
        assert str(open_square(str(tmp_path), name)).startswith("image file cannot be read (")


def test_pictures_are_webp_inside_the_page() -> None:
    made = picture(Image.new("RGB", (8, 8)), "a dot")
    kind, _, content = made.source.partition(";base64,")
    assert kind == "data:image/webp" and made.alt == "a dot"
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (8, 8)
    assert picture("not found", "a dot").note == "not found"


def test_bright_is_where_attention_is() -> None:
    image, attention = Image.new("RGB", (64, 64), (90, 90, 90)), np.array([[0.0, 0.0], [0.0, 0.5]])
    light = np.asarray(overlay(image, attention, 0.5)).sum(axis=2)
    assert light.shape == (SIDE, SIDE)
    assert light[-1, -1] == light.max() > light[0, 0] + 100
    dimmer = np.asarray(overlay(image, attention, 1.0)).sum(axis=2)
    assert dimmer[-1, -1] < light[-1, -1], "the scale is the caller's"


def test_no_attention_at_all_is_dark() -> None:
    flat = np.asarray(overlay(Image.new("RGB", (64, 64)), np.zeros((2, 2)), 0.0))
    assert flat.max() < 20


def test_the_legend_goes_from_dark_to_bright() -> None:
    scale = np.asarray(Image.open(io.BytesIO(base64.b64decode(colour_scale().source.split(",")[1]))).convert("L"), int)
    assert scale[4, -1] > scale[4, 64] > scale[4, 0]
