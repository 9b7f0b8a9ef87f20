import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from dassl.utils import read_image
from dassl.utils.images import FORMATS, MAX_PIXELS, decode_image, eight_bit_grey, open_image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def noise(*shape: int) -> Any:
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


def corners() -> Image.Image:
    """Red and green above, blue and black below, in blocks that JPEG keeps."""
    image = Image.new("RGB", (32, 16))
    for box, colour in (((0, 0, 16, 8), RED), ((16, 0, 32, 8), GREEN), ((0, 8, 16, 16), BLUE)):
        image.paste(colour, box)
    return image


def read(path: Path) -> Any:
    image = read_image(str(path))
    assert image.mode == "RGB"
    return np.asarray(image)


def near(pixel: Any, colour: tuple[int, ...], by: int = 12) -> bool:
    return bool(np.abs(np.asarray(pixel, dtype=int) - colour).max() <= by)


def test_images_come_as_rgb(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((4, 6), 7, np.uint8)).save(path)
    image = read_image(str(path))
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (6, 4), (7, 7, 7))


def test_missing_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'No file exists at ".*nope\.png"'):
        read_image(str(tmp_path / "nope.png"))


@pytest.mark.parametrize("cut", [0, 20, 60, -40])
@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "gif", "bmp"])
def test_damaged_image_is_named(tmp_path: Path, cut: int, ending: str) -> None:
    path = tmp_path / f"broken.{ending}"
    whole = io.BytesIO()
    Image.fromarray(noise(40, 40, 3)).save(whole, Image.registered_extensions()[path.suffix])
    path.write_bytes(whole.getvalue()[:cut])
    with pytest.raises(OSError, match=rf'Cannot read the image "{path}" \(') as caught:
        read_image(str(path))
    assert "\n" not in str(caught.value) and "BytesIO" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPEG", "a.jfif", "a.png", "a.bmp", "a.tif", "a.webp", "a.gif", "gray.jpg", "bit.png", "p.png"]
)
def test_ordinary_files_are_what_pillow_decodes(tmp_path: Path, name: str) -> None:
    """To the last bit: stored features and published numbers depend on it."""
    image = Image.fromarray(noise(33, 21, 3))
    mode = {"gray.jpg": "L", "bit.png": "1", "p.png": "P", "a.gif": "P"}.get(name, "RGB")
    image.convert(mode).save(tmp_path / name)
    with Image.open(tmp_path / name) as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal(read(tmp_path / name), expected)


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    pixels = noise(8, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", "PNG")
    assert np.array_equal(read(tmp_path / "photo.jpg"), pixels)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_alpha_is_blended_onto_white(tmp_path: Path, mode: str, ending: str) -> None:
    grey = [0, 0, 0, 100]
    alpha = np.array([[255, 0, 128, 255]], np.uint8)
    bands = [np.array([grey], np.uint8)] * (3 if mode == "RGBA" else 1)
    path = tmp_path / f"a.{ending}"
    options: dict[str, Any] = {"lossless": True, "exact": True} if ending == "webp" else {}
    Image.fromarray(np.dstack([*bands, alpha]), mode).save(path, **options)
    assert [int(pixel[0]) for pixel in read(path)[0]] == [0, 255, 127, 100]


def test_opaque_alpha_changes_nothing(tmp_path: Path) -> None:
    pixels = noise(16, 16, 3)
    Image.fromarray(np.dstack([pixels, np.full((16, 16), 255, np.uint8)]), "RGBA").save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "1"])
def test_a_transparent_colour_becomes_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (2, 1), BLACK)
    image.putpixel((1, 0), WHITE if mode == "1" else (204, 204, 204))
    converted = image.convert(mode)
    black = converted.getpixel((0, 0))
    converted.save(tmp_path / "a.png", transparency=black)
    left, right = read(tmp_path / "a.png")[0]
    assert tuple(left) == WHITE and tuple(right) == (WHITE if mode == "1" else (204, 204, 204))


def test_palettes_with_an_alpha_of_each_colour(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([*RED, *GREEN, *BLACK])
    for x in range(3):
        image.putpixel((x, 0), x)
    image.save(tmp_path / "a.png", transparency=bytes([255, 0, 128]))
    assert [tuple(pixel) for pixel in read(tmp_path / "a.png")[0]] == [RED, WHITE, (127, 127, 127)]


def test_cmyk(tmp_path: Path) -> None:
    """Photoshop stores ink inverted; a negative would show cyan where red is."""
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image.paste((0, 0, 0, 255), (8, 0, 16, 16))
    image.save(tmp_path / "a.jpg", quality=95)
    assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()[:200]
    image.save(tmp_path / "a.tif")
    for name in ("a.jpg", "a.tif"):
        pixels = read(tmp_path / name)
        assert near(pixels[8, 2], RED) and near(pixels[8, 13], BLACK)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_cameras_are_held_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    """Each file is turned so that, read right, it is upright again."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # numbers of Image.Transpose, the inverses
    upright = corners()
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    quality: dict[str, dict[str, Any]] = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"lossless": True}}
    stored.save(path, exif=exif, **quality.get(ending, {}))
    pixels = read(path)
    assert pixels.shape == (16, 32, 3)
    for (y, x), colour in (((4, 8), RED), ((4, 24), GREEN), ((12, 8), BLUE), ((12, 24), BLACK)):
        assert near(pixels[y, x], colour)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientations_that_are_none(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    corners().save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read(tmp_path / "a.png"), np.asarray(corners()))


def test_damaged_metadata_do_not_hide_the_pixels(tmp_path: Path) -> None:
    corners().save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9)
    assert np.array_equal(read(tmp_path / "a.png"), np.asarray(corners()))


VALUES = np.array([[0, 257, 32896, 65535]], np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "big_endian.tif", "a.pgm"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.pgm":
        path.write_bytes(b"P5 4 1 65535\n" + VALUES.astype(">u2").tobytes())
    elif name == "big_endian.tif":
        Image.frombytes("I;16B", (4, 1), VALUES.astype(">u2").tobytes()).save(path)
    else:
        Image.fromarray(VALUES).save(path)
    assert read(path)[0].tolist() == [[v] * 3 for v in (0, 1, 128, 255)]


def test_a_dark_picture_of_sixteen_bits_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 200, np.uint16)).save(tmp_path / "a.png")
    (tmp_path / "a.pgm").write_bytes(b"P5 1 1 65535\n" + (200).to_bytes(2, "big"))
    assert read(tmp_path / "a.png").max() == 1 and read(tmp_path / "a.pgm").max() == 1


def test_colour_of_sixteen_bits(tmp_path: Path) -> None:
    """Pillow writes no such PNG, so its chunks are put together here."""
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"\0" + np.array([[0, 32768, 65535], [65535, 0, 257]], ">u2").tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    assert read(tmp_path / "a.png")[0].tolist() == [[0, 128, 255], [255, 0, 1]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),  # shares, as is usual
        ([0.0, 0.25, 0.5], [0, 64, 128]),  # dark stays dark
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, 1e6, 2e6], [0, 128, 255]),
        ([7.5e4, 7.5e4, 7.5e4], [0, 0, 0]),
        ([float("nan"), 0.5, float("inf")], [0, 128, 0]),
    ],
)
def test_floating_point(tmp_path: Path, values: list[float], expected: list[int]) -> None:
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif")[0, :, 0].tolist() == expected


def test_no_number_at_all(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), np.nan, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(OSError, match=r"a\.tif.*no pixel is a finite number"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("values", "expected"), [([0, 1, 255], [0, 1, 255]), ([0, 257, 65535], [0, 1, 255]), ([-10, 0, 10], [0, 128, 255])]
)
def test_whole_numbers_of_32_bits(values: list[int], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.int32))
    assert np.asarray(eight_bit_grey(image, "TIFF"))[0].tolist() == expected


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "tif"])
def test_the_first_of_several_frames(tmp_path: Path, ending: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    options: dict[str, Any] = {"lossless": True} if ending == "webp" else {}
    frames[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:], **options)
    assert tuple(read(tmp_path / f"a.{ending}")[4, 4]) == RED


def test_one_bit(tmp_path: Path) -> None:
    bits = Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    for name in ("a.png", "a.tif", "a.bmp"):
        bits.save(tmp_path / name)
        assert read(tmp_path / name)[0].tolist() == [list(BLACK), list(WHITE)]


def bomb(side: int) -> bytes:
    """A PNG of a hundred bytes that claims side x side pixels."""
    small = io.BytesIO()
    Image.new("L", (1, 1)).save(small, "PNG")
    content = bytearray(small.getvalue())
    content[16:24] = struct.pack(">II", side, side)
    import zlib

    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


@pytest.mark.parametrize("pillows_own_limit", [True, False])
def test_bombs(tmp_path: Path, pillows_own_limit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not pillows_own_limit:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(50_000))
    with pytest.raises(OSError, match=rf'Cannot read the image "{path}" .*(limit of {MAX_PIXELS:,}|178956970)'):
        read_image(str(path))


def test_a_limit_of_ones_own() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (20, 10)).save(stream, "PNG")
    assert decode_image(io.BytesIO(stream.getvalue()), name="upload", max_pixels=200).size == (20, 10)
    with pytest.raises(OSError, match=r'"upload" \(ValueError: 20 x 10 pixels are more than the limit of 199\)'):
        decode_image(io.BytesIO(stream.getvalue()), name="upload", max_pixels=199)


def test_text_and_programs_are_no_images(tmp_path: Path) -> None:
    """EPS would have Pillow start Ghostscript on a stranger's file."""
    for content in (b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", b"<svg/>"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(OSError, match="no image, or of a format that is not read"):
            read(tmp_path / "a.jpg")
    assert "EPS" not in FORMATS


def test_names_of_other_encodings(tmp_path: Path) -> None:
    path = tmp_path.joinpath(b"caf\xe9.png".decode("utf-8", "surrogateescape"))
    Image.new("RGB", (2, 2), RED).save(path)
    assert tuple(read(path)[0, 0]) == RED


def test_metadata_text_does_not_matter(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * 1000)
    Image.new("RGB", (2, 2), RED).save(tmp_path / "a.png", pnginfo=info)
    assert tuple(read(tmp_path / "a.png")[0, 0]) == RED


def test_the_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb(10_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(ValueError, match=r"10000 x 10000 pixels are more than the limit of 100$"):
            open_image(str(tmp_path / "bomb.png"), max_pixels=100)
