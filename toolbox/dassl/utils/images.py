"""Image files as RGB, whatever they hold: the one place where pixels are read.

Ordinary files of three times eight bits come as Pillow decodes them. Others are brought to what a viewer shows:

- turned upright as EXIF (or XMP) says;
- transparent pixels blended onto white;
- grey values of 16 bits, 32 bits or floating point scaled to eight bits, see ``eight_bit_grey``;
- CMYK and palettes converted by Pillow; of animations and of files of several pages the first.

Colour profiles are not applied.
"""

import functools
import os
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 178_956_970  # half a gigabyte as RGB; Pillow's own limit too
# Formats of pixels that Pillow decodes by itself. EPS would start another program, and others have no signature.
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TIFF"),
    "WEBP",
)
ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS, _PHOTOMETRIC, _PLANAR, _SAMPLE_FORMAT = 258, 262, 284, 339  # tags of TIFF
_DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_FULL_SCALES = (1.0, 255.0, 65535.0)  # values that are white, where a file does not say which one is


def read_image(path: str) -> Image.Image:
    """Return an image file as an RGB image.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it is damaged, no image or larger than ``MAX_PIXELS``; the message names the file.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f'No file exists at "{path}"')
    return decode_image(path, name=str(path))


def decode_image(source: str | IO[bytes], *, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Return an image as RGB.

    Args:
        source: A path, or a file of bytes.
        name: What messages call it.
        max_pixels: Width times height that is decoded at most; a few bytes may claim any size.

    Raises:
        OSError: If it is damaged, no image or too large.
    """
    try:
        with open_image(source, max_pixels=max_pixels) as image:
            return to_rgb(image)
    # Pillow reports damage as OSError, SyntaxError, ValueError, struct.error and more, depending on the format.
    except Exception as error:
        raise OSError(f'Cannot read the image "{name}" ({type(error).__name__}: {reason_of(error)})') from error


def reason_of(error: Exception) -> str:
    """Return on one line why an image could not be read."""
    if isinstance(error, UnidentifiedImageError):
        return "no image, or of a format that is not read"  # Pillow's own words name the file, or a Python object
    return " ".join(str(error).split())


def open_image(source: str | IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image without decoding its pixels.

    Raises:
        ValueError: If it is too large.
        Exception: Whatever Pillow raises at a file that is none of ``FORMATS``.
    """
    image = Image.open(source, formats=_formats())
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise ValueError(f"{width} x {height} pixels are more than the limit of {max_pixels:,}")
    return image


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # builds of Pillow differ


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the first frame of an opened image as RGB; raises what Pillow raises at damaged pixels."""
    if getattr(image, "tile", None):  # not decoded yet
        _mend_before_decoding(image)
    image.load()
    upright: Any = eight_bit_grey(image, image.format) if image.mode in _DEEP_GREY else image
    turn = _UPRIGHT.get(orientation_of(image))
    if turn is not None:
        upright = upright.transpose(turn)
    if upright.has_transparency_data:
        return _on_white(upright)
    converted: Image.Image = upright.convert("RGB")
    return converted


def _mend_before_decoding(image: Any) -> None:
    """Put right what Pillow 12 and 13 decode to other pixels than the file holds."""
    if image.format == "TIFF":
        tags = image.tag_v2
        if tags.get(ORIENTATION) in (5, 6, 7, 8):
            image.filename = ""  # or it is mapped into memory with width and height swapped
        if tags.get(_PLANAR) == 2 and set(tags.get(_BITS, ())) == {16} and image.tile[0][0] == "raw":
            depth = ";16B" if tags.prefix == b"MM" else ";16L"  # it takes planes of 16 bits for 8 bits
            image.tile = [part._replace(args=(part.args[0] + depth, *part.args[1:])) for part in image.tile]
    key = image.info.get("transparency")
    if image.format == "PNG" and key is not None:
        # The transparent colour has the file's depth, by now the pixels have eight bits.
        raw = str(image.tile[0][3])
        if raw in ("L;2", "L;4"):
            image.info["transparency"] = key * 255 // (2 ** int(raw[-1]) - 1)
        elif raw == "RGB;16B":
            image.info["transparency"] = tuple(value >> 8 for value in key)


def orientation_of(image: Image.Image) -> int:
    """Return EXIF's orientation, 1 (upright) where it says nothing or is damaged."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # metadata are whatever a camera or an editor wrote; the pixels are sound
        return 1
    return orientation if isinstance(orientation, int) else 1


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")


def eight_bit_grey(image: Image.Image, source_format: str | None) -> Image.Image:
    """Scale grey values of 16 bits, 32 bits or floating point to eight bits.

    Sixteen bits (twelve in some TIFF files) are scaled by their whole range, so that images stay comparable with one
    another. Where a file does not say which value is white, it is the least of 1 (floating point only), 255 and 65535
    that no value exceeds; values below zero or above 65535 are stretched from the least to the greatest. What is not a
    number becomes black, a transparent value white.

    Args:
        image: Of mode "I", "I;16..." or "F".
        source_format: Format of its file: "I" of PNG and PPM means 16 bits.

    Raises:
        ValueError: If no value is finite.
    """
    tags = getattr(image, "tag_v2", {})  # of TIFF
    stored = np.asarray(image)
    if image.mode == "I" and tags.get(_BITS) == (32,) and tags.get(_SAMPLE_FORMAT, (1,)) == (1,):
        stored = stored.view(np.uint32)
    values = stored.astype(np.float64)
    finite = np.isfinite(values)
    if image.mode.startswith("I;16") or (image.mode == "I" and source_format in ("PNG", "PPM")):
        white, black = 4095.0 if tags.get(_BITS) == (12,) else 65535.0, 0.0
    elif finite.any():
        white, black = _white_and_black(values[finite], floating=image.mode == "F")
    else:
        raise ValueError("no pixel is a finite number")
    shares = (np.where(finite, values, black) - black) / max(white - black, np.finfo(np.float64).tiny)
    if tags.get(_PHOTOMETRIC) == 0:  # low values are bright; Pillow minds that up to eight bits
        shares = np.where(finite, 1.0 - shares, 0.0)
    shares[values == image.info.get("transparency")] = 1.0
    return Image.fromarray(np.rint(shares * 255.0).astype(np.uint8))


def _white_and_black(values: Any, *, floating: bool) -> tuple[float, float]:
    """Return which of finite values are white and black where their file does not say it."""
    low, high = float(values.min()), float(values.max())
    scales = [scale for scale in _FULL_SCALES if high <= scale and (scale > 1 or floating)]
    return (scales[0], 0.0) if low >= 0 and scales else (high, low)
