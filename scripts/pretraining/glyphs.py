"""Printed characters as grey masks, from the fonts that come with matplotlib and Pillow."""

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

GLYPH_HEIGHT = 96
_FONT_FILES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmss10", "cmtt10"),
)
FONT_COUNT = len(_FONT_FILES) + 1
# Every file of this family holds the alphabets that the others lack.
MANY_ALPHABETS_FONTS = 4


@lru_cache(maxsize=16384)
def glyph_mask(character: str, font: int, stroke: int) -> Image.Image:
    """Draw one character white on black, cropped to its ink.

    Args:
        character: What to draw.
        font: Which font, 0 to FONT_COUNT - 1; the last one is Pillow's own.
        stroke: Thickening of the lines, in pixels of a glyph that is GLYPH_HEIGHT high before cropping.

    Returns:
        A grey image; do not change it, later calls return the same one.
    """
    canvas = Image.new("L", (2 * GLYPH_HEIGHT, 2 * GLYPH_HEIGHT))
    middle = (GLYPH_HEIGHT, GLYPH_HEIGHT)
    ImageDraw.Draw(canvas).text(middle, character, fill=255, font=_font(font), anchor="mm", stroke_width=stroke)
    return canvas.crop(canvas.getbbox())


@lru_cache(maxsize=FONT_COUNT)
def _font(font: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if font == len(_FONT_FILES):
        return ImageFont.load_default(GLYPH_HEIGHT)
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{_FONT_FILES[font]}.ttf"
    return ImageFont.truetype(str(path), GLYPH_HEIGHT)
