import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets.outlines import SHAPE_NAMES, shape_outlines
from scripts.pretraining import backgrounds, renderings, unlabelled
from scripts.pretraining.backgrounds import LEAST_CONTRAST, draw_background
from scripts.pretraining.captions import BACKGROUNDS, COLOURS, DIGIT_NAMES, OBJECTS, UNSAID
from scripts.pretraining.glyphs import FONT_COUNT, glyph_mask
from scripts.pretraining.renderings import Scene, coarsened, draw_pool, draw_scene, glyph_on_canvas, random_scene


def test_image_i_depends_on_the_seed_and_i_alone():
    few, few_attributes = draw_pool(4, seed=3)
    more, more_attributes = draw_pool(9, seed=3)
    np.testing.assert_array_equal(few, more[:4])
    np.testing.assert_array_equal(few_attributes, more_attributes[:4])
    assert not np.array_equal(few, draw_pool(4, seed=4)[0])


def test_pools_do_not_touch_the_global_random_state():
    state: Any = np.random.get_state()
    before = state[1].copy()
    draw_pool(2, seed=0)
    state = np.random.get_state()
    np.testing.assert_array_equal(before, state[1])


def test_attributes_are_those_of_the_scene():
    assert Scene("seven", "red", "striped").attributes == (7, COLOURS.index("red"), 1)
    assert Scene("background", None, "plain").attributes == (OBJECTS.index("background"), UNSAID, 0)


def test_scenes_come_in_the_shares_of_the_recipe():
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng) for _ in range(6000)]
    kinds = Counter(
        "digit" if scene.thing in DIGIT_NAMES else "shape" if scene.thing in SHAPE_NAMES else "bare" for scene in scenes
    )
    assert kinds["digit"] / 6000 == pytest.approx(0.50, abs=0.03)
    assert kinds["shape"] / 6000 == pytest.approx(0.42, abs=0.03)
    assert kinds["bare"] / 6000 == pytest.approx(0.08, abs=0.02)
    coloured_shapes = [scene for scene in scenes if scene.thing in SHAPE_NAMES]
    plain = np.mean([scene.background == "plain" for scene in coloured_shapes])
    assert plain == pytest.approx(0.65, abs=0.04)
    assert {scene.thing for scene in scenes} == set(OBJECTS)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_named_colour_is_in_the_picture(colour, monkeypatch):
    monkeypatch.setattr(renderings, "COARSE_SHARE", 0.0)
    monkeypatch.setattr(renderings, "BLURRED_SHARE", 0.0)
    monkeypatch.setattr(renderings, "OUTLINED_SHAPES", 0.0)
    for seed in range(3):
        image = np.asarray(draw_scene(Scene("square", colour, "plain"), np.random.default_rng(seed))).astype(int)
        distances = np.linalg.norm(image - np.array(renderings._RGB[colour]), axis=2)
        nearest = min(COLOURS, key=lambda name: np.linalg.norm(_ink(image) - np.array(renderings._RGB[name])))
        assert nearest == colour
        assert (distances < 30).mean() > 0.05


def _ink(image):
    """Colour of the object: the commonest one that is not in the corner."""
    flat = [tuple(pixel) for pixel in image.reshape(-1, 3).tolist()]
    corners = {tuple(image[y, x].tolist()) for y in (0, -1) for x in (0, -1)}
    return np.array(Counter(pixel for pixel in flat if pixel not in corners).most_common(1)[0][0])


@pytest.mark.parametrize("style", BACKGROUNDS)
def test_backgrounds_keep_away_from_the_objects_colour(style):
    red = (215, 30, 35)
    image = np.asarray(draw_background(style, 64, np.random.default_rng(1), avoid=red)).astype(float)
    assert image.shape == (64, 64, 3)
    close = np.linalg.norm(image - np.array(red), axis=2) < LEAST_CONTRAST / 3
    assert close.mean() < 0.02
    varied = image.std(axis=(0, 1)).max()
    assert (varied == 0) == (style == "plain")


def test_unknown_background_lists_the_styles():
    with pytest.raises(ValueError, match="no background style 'tartan'; available: plain, striped"):
        draw_background("tartan", 8, np.random.default_rng(0))


def test_two_colours_of_a_pattern_can_be_told_apart():
    grey = np.array([120.0, 120.0, 120.0])
    assert np.linalg.norm(backgrounds._apart(grey, grey + 1) - grey) >= 60
    np.testing.assert_array_equal(backgrounds._apart(grey, grey + 100), grey + 100)


@pytest.mark.parametrize("font", range(FONT_COUNT))
def test_every_font_prints_ten_different_digits(font):
    masks = [np.asarray(glyph_mask(str(digit), font, 1).resize((16, 16))).astype(float) for digit in range(10)]
    for i, one in enumerate(masks):
        assert one.max() > 200
        assert all(np.abs(one - other).mean() > 5 for other in masks[:i])


def test_a_digit_is_upright_whole_and_not_mirrored():
    sevens = [glyph_on_canvas("7", np.random.default_rng(seed), font=0) for seed in range(40)]
    for mask in sevens:
        ink = np.asarray(mask)
        assert np.concatenate([ink[0], ink[-1], ink[:, 0], ink[:, -1]]).mean() < 15
        left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
        box = ink[top:bottom, left:right].astype(float)
        third = len(box) // 3
        assert box[:third].mean() > box[third:].mean(), "the bar of a seven is at the top"


def test_an_outlined_shape_is_hollow():
    outlines = shape_outlines("circle")
    filled = renderings.outlines_on_canvas(outlines, np.random.default_rng(2), outlined=False)
    hollow = renderings.outlines_on_canvas(outlines, np.random.default_rng(2), outlined=True)
    assert np.asarray(hollow).mean() < 0.8 * np.asarray(filled).mean()


def test_a_filled_ring_keeps_its_hole():
    mask = renderings.outlines_on_canvas(shape_outlines("ring"), np.random.default_rng(0), outlined=False)
    left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
    assert mask.getpixel(((left + right) // 2, (top + bottom) // 2)) == 0


def test_coarse_images_keep_their_size_and_lose_detail():
    fine = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    coarse = coarsened(fine, 8)
    assert coarse.size == (64, 64)
    assert np.asarray(coarse).std() < 5


def test_unlabelled_images_are_repeatable_and_varied():
    images = unlabelled.draw_unlabelled(40, seed=2)
    np.testing.assert_array_equal(images[:5], unlabelled.draw_unlabelled(5, seed=2))
    assert len({image.tobytes() for image in images}) == 40
    assert (images.std(axis=(1, 2, 3)) > 1).all()


def test_all_unlabelled_characters_can_be_printed():
    missing = np.asarray(glyph_mask(chr(0xFFFF), 0, 0).resize((16, 16))).astype(float)
    for alphabet in unlabelled._OTHER_ALPHABETS:
        for character in alphabet:
            mask = np.asarray(glyph_mask(character, 0, 0).resize((16, 16))).astype(float)
            assert np.abs(mask - missing).mean() > 3, hex(ord(character))


def test_pretraining_never_sees_the_real_digits():
    """Importing any data set registers all; what pretraining takes from them are the outlines of shapes alone."""
    code = (
        "import sys, ast, pkgutil, importlib, pathlib, scripts.pretraining as made\n"
        "name = made.__name__\n"
        "parts = [importlib.import_module(f'{name}.{part.name}') for part in pkgutil.iter_modules(made.__path__)]\n"
        "trees = [ast.parse(pathlib.Path(part.__file__).read_text()) for part in parts]\n"
        "taken = {node.module for tree in trees for node in tree.body if isinstance(node, ast.ImportFrom)}\n"
        "print(sorted(name for name in taken if name.startswith('datasets')), 'sklearn' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['datasets.outlines'] False"
