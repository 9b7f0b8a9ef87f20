"""Procedural images without labels for the tiny aux encoder: characters, pen strokes and shapes."""

import math
import string

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from tqdm import tqdm

from datasets.outlines import SHAPE_NAMES, shape_outlines
from scripts.pretraining.backgrounds import Colour, draw_background
from scripts.pretraining.captions import BACKGROUNDS
from scripts.pretraining.glyphs import FONT_COUNT, MANY_ALPHABETS_FONTS
from scripts.pretraining.renderings import IMAGE_SIZE, OVERSAMPLING, glyph_on_canvas, outlines_on_canvas

GLYPH_SHARE, STROKE_SHARE = 0.50, 0.25
WHITE_ON_BLACK_SHARE = 0.6


def _characters(*spans: tuple[int, int]) -> str:
    """Return the characters of spans of Unicode, ends included."""
    return "".join(chr(code) for first, last in spans for code in range(first, last + 1))


_LATIN = string.ascii_letters + string.digits + "&?@#%$"
_OTHER_ALPHABETS = (
    _characters((0x0393, 0x0394), (0x03A6, 0x03A9), (0x03B1, 0x03C9)),  # Greek
    _characters((0x0411, 0x044F)),  # Cyrillic
    _characters((0x0531, 0x0556), (0x0561, 0x0586)),  # Armenian
    _characters((0x10D0, 0x10F0)),  # Georgian
    _characters((0x05D0, 0x05EA)),  # Hebrew
)


def draw_unlabelled(count: int, *, seed: int) -> npt.NDArray[np.uint8]:
    """Draw unlabelled images, (count, IMAGE_SIZE, IMAGE_SIZE, 3); image i depends on the seed and i alone."""
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    for index in tqdm(range(count), desc="unlabelled images", unit="image"):
        images[index] = np.asarray(_draw(np.random.default_rng([seed, index])))
    return images


def pen_strokes(rng: np.random.Generator) -> Image.Image:
    """Draw one to three smooth pen strokes on an empty canvas."""
    sheet = IMAGE_SIZE * OVERSAMPLING
    canvas = Image.new("L", (sheet, sheet))
    pen = ImageDraw.Draw(canvas)
    width = round(rng.uniform(0.05, 0.14) * sheet)
    t = np.linspace(0.0, 1.0, 32)[:, None]
    blend = np.hstack([math.comb(3, i) * t**i * (1 - t) ** (3 - i) for i in range(4)])
    for _ in range(int(rng.integers(1, 4))):
        curve = blend @ rng.uniform(-0.1, 1.1, (4, 2)) * sheet  # a cubic Bezier curve
        pen.line([tuple(point) for point in curve.tolist()], fill=255, width=width, joint="curve")
    return canvas.reduce(OVERSAMPLING)


def _draw(rng: np.random.Generator) -> Image.Image:
    mask = _mask(rng)
    if rng.random() < WHITE_ON_BLACK_SHARE:
        image = Image.new("RGB", mask.size, (0, 0, 0))
        image.paste((255, 255, 255), mask=mask)
        return image
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    colour: Colour = (red, green, blue)
    style = "plain" if rng.random() < 0.6 else BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))]
    image = draw_background(style, IMAGE_SIZE, rng, avoid=colour)
    image.paste(colour, mask=mask)
    return image


def _mask(rng: np.random.Generator) -> Image.Image:
    kind = rng.random()
    if kind < GLYPH_SHARE:
        return _character(rng)
    if kind < GLYPH_SHARE + STROKE_SHARE:
        return pen_strokes(rng)
    name = SHAPE_NAMES[int(rng.integers(len(SHAPE_NAMES)))]
    return outlines_on_canvas(shape_outlines(name), rng, outlined=rng.random() < 0.5)


def _character(rng: np.random.Generator) -> Image.Image:
    """Half of the characters are Latin letters and figures in any font, half are of the other alphabets."""
    if rng.random() < 0.5:
        return glyph_on_canvas(_LATIN[int(rng.integers(len(_LATIN)))], rng, font=int(rng.integers(FONT_COUNT)))
    alphabet = _OTHER_ALPHABETS[int(rng.integers(len(_OTHER_ALPHABETS)))]
    character = alphabet[int(rng.integers(len(alphabet)))]
    return glyph_on_canvas(character, rng, font=int(rng.integers(MANY_ALPHABETS_FONTS)))
