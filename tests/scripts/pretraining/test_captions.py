import numpy as np
import pytest
from clip import clip

from datasets.outlines import SHAPE_NAMES
from scripts.pretraining.captions import (
    BACKGROUNDS,
    COLOURS,
    DIGIT_NAMES,
    DIGIT_TEMPLATE,
    OBJECTS,
    SHAPE_TEMPLATE,
    UNSAID,
    CaptionBook,
    all_captions,
    matches,
)


@pytest.fixture(scope="module")
def book():
    return CaptionBook()


def attributes(thing, colour=None, background=None):
    return (
        OBJECTS.index(thing),
        UNSAID if colour is None else COLOURS.index(colour),
        UNSAID if background is None else BACKGROUNDS.index(background),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a photo of the digit seven.", attributes("seven")),
        ("a photo of a seven", attributes("seven")),
        ("a red circle on a striped background", attributes("circle", "red", "striped")),
        ("a drawing of an orange arrow.", attributes("arrow", "orange")),
        ("an image of a hexagon on a noisy background", attributes("hexagon", None, "noisy")),
        ("the background", attributes("background")),
        ("the background of seven.", attributes("background")),
        ("the dotted background", attributes("background", None, "dotted")),
    ],
)
def test_captions_say_what_they_say(book, text, said):
    found = [caption.attributes for caption in book.captions if caption.text == text]
    assert found == [said]


def test_no_caption_is_twice_there_with_two_meanings():
    texts = [caption.text for caption in all_captions()]
    assert len(set(texts)) == len(texts)


def test_words_and_attributes_agree(book):
    for caption in book.captions[::37]:
        words = caption.text.replace(".", "").split()
        thing, colour, background = caption.attributes
        assert OBJECTS[thing] in words
        assert [word for word in words if word in COLOURS] == ([] if colour == UNSAID else [COLOURS[colour]])
        styles = [word for word in words if word in BACKGROUNDS]
        assert styles == ([] if background == UNSAID else [BACKGROUNDS[background]])


def test_the_templates_of_the_data_sets_are_captions(book):
    texts = {caption.text: caption.attributes for caption in book.captions}
    for name in DIGIT_NAMES:
        assert texts[DIGIT_TEMPLATE.format(name)] == attributes(name)
    for name in SHAPE_NAMES:
        if name[0] not in "aeiou":
            assert texts[SHAPE_TEMPLATE.format(name)] == attributes(name)


def test_drawn_captions_are_true_and_sometimes_leave_things_out(book):
    rng = np.random.default_rng(0)
    shown = attributes("star", "blue", "dotted")
    rows = [book.draw(shown, rng) for _ in range(400)]
    said = book.attributes[rows]
    assert matches(said, np.array([shown])).all()
    for column in (1, 2):
        assert 0.4 < (said[:, column] == UNSAID).mean() < 0.6


def test_prompts_name_each_object_and_nothing_else(book):
    rows = book.object_prompts(np.random.default_rng(0))
    np.testing.assert_array_equal(book.attributes[rows, 0], np.arange(len(OBJECTS)))
    assert (book.attributes[rows, 1:] == UNSAID).all()


def test_matches_by_hand():
    said = np.array([[3, -1, -1], [3, 2, -1], [3, 2, 5], [4, -1, -1]])
    shown = np.array([[3, 2, 5], [3, 1, 5], [4, 2, 5]])
    expected = [[True, True, True, False], [True, False, False, False], [False, False, False, True]]
    np.testing.assert_array_equal(matches(said, shown), expected)


def test_few_tokens_are_in_use(book):
    tokens = clip.tokenize([caption.text for caption in book.captions[::5]])
    assert len(np.unique(tokens)) < 80
