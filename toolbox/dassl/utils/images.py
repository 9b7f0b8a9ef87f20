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
    image.load()
    upright: Any = image
    turn = _UPRIGHT.get(orientation_of(image))
    if turn is not None:
        upright = image.transpose(turn)
    if image.mode in _DEEP_GREY:
        upright = eight_bit_grey(upright, image.format)
    if upright.has_transparency_data:
        return _on_white(upright)
    converted: Image.Image = upright.convert("RGB")
    return converted


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

    Sixteen bits are scaled by their whole range, so that images stay comparable with one another. Where a file does not
    say which value is white, it is the least of 1 (floating point only), 255 and 65535 that no value exceeds; values
    below zero or above 65535 are stretched from the least to the greatest. What is not a number becomes black.

    Args:
        image: Of mode "I", "I;16..." or "F".
        source_format: Format of its file: "I" of PNG and PPM means 16 bits.

    Raises:
        ValueError: If no value is finite.
    """
    values = np.asarray(image).astype(np.float64)
    if image.mode.startswith("I;16") or source_format in ("PNG", "PPM"):
        return _grey_from(values / 65535.0)
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError("no pixel is a finite number")
    low, high = float(values[finite].min()), float(values[finite].max())
    scales = [scale for scale in _FULL_SCALES if high <= scale and (scale > 1 or image.mode == "F")]
    white, black = (scales[0], 0.0) if low >= 0 and scales else (high, low)
    return _grey_from(np.where(finite, (values - black) / max(white - black, np.finfo(np.float64).tiny), 0.0))


def _grey_from(shares: Any) -> Image.Image:
    return Image.fromarray(np.rint(shares * 255.0).astype(np.uint8))
