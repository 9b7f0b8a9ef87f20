"""Procedural images with known attributes: printed digits, shapes and bare backgrounds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from tqdm import tqdm

from datasets.outlines import SHAPE_NAMES, Points, random_pose, shape_outlines
from scripts.pretraining.backgrounds import Colour, draw_background
from scripts.pretraining.captions import BACKGROUND_ALONE, BACKGROUNDS, COLOURS, DIGIT_NAMES, OBJECTS, UNSAID
from scripts.pretraining.glyphs import FONT_COUNT, glyph_mask

IMAGE_SIZE = 64
DIGIT_SHARE, SHAPE_SHARE = 0.50, 0.42
BLACK_AND_WHITE_DIGITS = 1 / 3
OUTLINED_SHAPES = 0.15
PLAIN_SHARE = 0.65
COARSE_SHARE, BLURRED_SHARE = 0.25, 0.10
COARSE_PIXELS = (8, 24)
OVERSAMPLING = 2

_RGB: dict[str, Colour] = {
    "red": (215, 30, 35),
    "orange": (245, 135, 20),
    "yellow": (245, 225, 40),
    "green": (40, 160, 60),
    "cyan": (50, 215, 220),
    "blue": (35, 70, 210),
    "purple": (125, 45, 165),
    "pink": (245, 130, 185),
    "brown": (120, 72, 35),
    "grey": (128, 128, 128),
    "white": (242, 242, 242),
    "black": (14, 14, 14),
}


@dataclass(frozen=True)
class Scene:
    """What an image shows.

    Attributes:
        thing: One of OBJECTS.
        colour: One of COLOURS; None for a background alone.
        background: One of BACKGROUNDS.
    """

    thing: str
    colour: str | None
    background: str

    @property
    def attributes(self) -> tuple[int, int, int]:
        """Positions in OBJECTS, COLOURS and BACKGROUNDS, as captions have them."""
        colour = UNSAID if self.colour is None else COLOURS.index(self.colour)
        return OBJECTS.index(self.thing), colour, BACKGROUNDS.index(self.background)


def random_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene in the shares of the recipe; docs/pretraining.md lists them."""
    kind = rng.random()
    if kind < DIGIT_SHARE and rng.random() < BLACK_AND_WHITE_DIGITS:
        return Scene(_choice(rng, DIGIT_NAMES), _choice(rng, ("white", "black")), "plain")
    background = "plain" if rng.random() < PLAIN_SHARE else _choice(rng, BACKGROUNDS[1:])
    if kind < DIGIT_SHARE:
        return Scene(_choice(rng, DIGIT_NAMES), _choice(rng, COLOURS), background)
    if kind < DIGIT_SHARE + SHAPE_SHARE:
        return Scene(_choice(rng, SHAPE_NAMES), _choice(rng, COLOURS), background)
    return Scene(BACKGROUND_ALONE, None, background)


def draw_scene(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Draw a scene, IMAGE_SIZE x IMAGE_SIZE, RGB: pose, fonts, colours and sharpness at random."""
    if scene.colour is None:
        image = draw_background(scene.background, IMAGE_SIZE, rng)
    else:
        colour = _tinted(_RGB[scene.colour], rng)
        image = _backdrop(scene, colour, rng)
        image.paste(colour, mask=_mask(scene.thing, rng))
    sharpness = rng.random()
    if sharpness < COARSE_SHARE:
        image = coarsened(image, int(rng.integers(COARSE_PIXELS[0], COARSE_PIXELS[1] + 1)))
    elif sharpness < COARSE_SHARE + BLURRED_SHARE:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0)))
    return image


def draw_pool(count: int, *, seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draw a pool of images with their attributes; image i depends on the seed and i alone.

    Returns:
        Images, (count, IMAGE_SIZE, IMAGE_SIZE, 3), and attributes, (count, 3).
    """
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    attributes = np.empty((count, 3), dtype=np.int64)
    for index in tqdm(range(count), desc="captioned images", unit="image"):
        rng = np.random.default_rng([seed, index])
        scene = random_scene(rng)
        images[index] = np.asarray(draw_scene(scene, rng))
        attributes[index] = scene.attributes
    return images, attributes


def coarsened(image: Image.Image, pixels: int) -> Image.Image:
    """Reduce an image to a few pixels across and enlarge it again, as a coarse scan would look."""
    small = image.resize((pixels, pixels), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def glyph_on_canvas(character: str, rng: np.random.Generator, *, font: int) -> Image.Image:
    """Place a character on an empty canvas at a random size and place, in a random pose and stroke width."""
    glyph = glyph_mask(character, font, int(rng.integers(0, 4)))
    pose = random_pose(rng)
    reach = np.abs(pose) @ np.array([glyph.width / 2, glyph.height / 2])
    scale = rng.uniform(0.55, 1.0) * (IMAGE_SIZE / 2) / reach.max()
    centre = _place(reach * scale, rng)
    # Pillow asks where in the source each target pixel comes from, so the map is inverted.
    inverse = np.linalg.inv(pose * scale)
    offset = np.array([glyph.width / 2, glyph.height / 2]) - inverse @ centre
    data = (*inverse[0].tolist(), float(offset[0]), *inverse[1].tolist(), float(offset[1]))
    return glyph.transform((IMAGE_SIZE, IMAGE_SIZE), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)


def outlines_on_canvas(outlines: list[Points], rng: np.random.Generator, *, outlined: bool) -> Image.Image:
    """Place outlines on an empty canvas at a random size and place, in a random pose, filled or as a line."""
    pose = random_pose(rng)
    posed = [outline @ pose.T for outline in outlines]
    reach = np.abs(posed[0]).max(axis=0)
    scale = rng.uniform(0.5, 0.95) * (IMAGE_SIZE / 2) / reach.max()
    centre = _place(reach * scale, rng)
    canvas = Image.new("L", (IMAGE_SIZE * OVERSAMPLING, IMAGE_SIZE * OVERSAMPLING))
    pen = ImageDraw.Draw(canvas)
    width = round(rng.uniform(2.0, 6.0) * OVERSAMPLING)
    for number, outline in enumerate(posed):
        corners = [tuple(point) for point in ((outline * scale + centre) * OVERSAMPLING).tolist()]
        if outlined:
            pen.line([*corners, *corners[:2]], fill=255, width=width, joint="curve")
        else:
            pen.polygon(corners, fill=0 if number else 255)
    return canvas.reduce(OVERSAMPLING)


def _mask(thing: str, rng: np.random.Generator) -> Image.Image:
    if thing in DIGIT_NAMES:
        return glyph_on_canvas(str(DIGIT_NAMES.index(thing)), rng, font=int(rng.integers(FONT_COUNT)))
    return outlines_on_canvas(shape_outlines(thing), rng, outlined=rng.random() < OUTLINED_SHAPES)


def _backdrop(scene: Scene, colour: Colour, rng: np.random.Generator) -> Image.Image:
    """Draw the background; a plain one behind white or black is black or white half of the time."""
    if scene.background == "plain" and scene.colour in ("white", "black") and rng.random() < 0.5:
        other = _RGB["black" if scene.colour == "white" else "white"]
        return Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), _tinted(other, rng))
    return draw_background(scene.background, IMAGE_SIZE, rng, avoid=colour)


def _place(reach: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw a centre that keeps the object's reach inside the canvas."""
    room = np.maximum(IMAGE_SIZE / 2 - reach, 0.0)
    return np.asarray(IMAGE_SIZE / 2 + rng.uniform(-1.0, 1.0, 2) * room)


def _tinted(colour: Colour, rng: np.random.Generator) -> Colour:
    """Move a named colour a little; far less than the way to the next name."""
    shifted = np.clip(np.array(colour) + rng.uniform(-14, 14, 3), 0, 255).astype(int)
    return int(shifted[0]), int(shifted[1]), int(shifted[2])


def _choice(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]
