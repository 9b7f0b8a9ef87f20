"""What a caption can say about an image, and every caption that can be said."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.outlines import SHAPE_NAMES

DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
BACKGROUND_ALONE = "background"
OBJECTS = (*DIGIT_NAMES, *SHAPE_NAMES, BACKGROUND_ALONE)
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "brown", "grey", "white", "black")
BACKGROUNDS = ("plain", "striped", "checkered", "dotted", "noisy", "cluttered", "gradient")
UNSAID = -1

DIGIT_TEMPLATE = "a photo of the digit {}."
SHAPE_TEMPLATE = "a photo of a {}."

_FRAMES = ("{}", "a photo of {}", "an image of {}", "a drawing of {}")
_FRAMES_AND_STOPS = tuple(frame + stop for frame in _FRAMES for stop in ("", "."))


@dataclass(frozen=True)
class Caption:
    """A caption and what it says.

    Attributes:
        text: The words.
        attributes: Positions in OBJECTS, COLOURS and BACKGROUNDS; UNSAID where the words leave one out.
    """

    text: str
    attributes: tuple[int, int, int]


class CaptionBook:
    """All captions, with a quick draw of one that is true of an image.

    Attributes:
        captions: Every caption, ordered by attributes.
        attributes: The same captions' attributes, (captions, 3).
    """

    def __init__(self) -> None:
        self.captions = sorted(all_captions(), key=lambda caption: caption.attributes)
        self.attributes: npt.NDArray[np.int64] = np.array([caption.attributes for caption in self.captions])
        self._rows: dict[tuple[int, int, int], list[int]] = {}
        for row, caption in enumerate(self.captions):
            self._rows.setdefault(caption.attributes, []).append(row)

    def draw(self, attributes: tuple[int, int, int], rng: np.random.Generator) -> int:
        """Draw the row of a caption that is true of an image; colour and background are each left out half the time.

        Args:
            attributes: What the image shows: object, colour and background, UNSAID for a colour it does not have.
            rng: Source of randomness.
        """
        thing, colour, background = attributes
        said = (thing, colour if rng.random() < 0.5 else UNSAID, background if rng.random() < 0.5 else UNSAID)
        rows = self._rows[said]
        return rows[int(rng.integers(len(rows)))]

    def object_prompts(self, rng: np.random.Generator) -> list[int]:
        """Draw, for each of OBJECTS in order, the row of a caption that names the object and nothing else."""
        return [self.draw((thing, UNSAID, UNSAID), rng) for thing in range(len(OBJECTS))]


def all_captions() -> Iterator[Caption]:
    """Yield every caption: each object, with and without colour and background, in every frame of words."""
    for thing, name in enumerate(OBJECTS):
        colours = (UNSAID,) if name == BACKGROUND_ALONE else (UNSAID, *range(len(COLOURS)))
        for colour in colours:
            for background in (UNSAID, *range(len(BACKGROUNDS))):
                for words in _noun_phrases(name, colour, background):
                    for frame in _FRAMES_AND_STOPS:
                        yield Caption(frame.format(words), (thing, colour, background))


def matches(said: npt.NDArray[np.int64], shown: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which captions are true of which images: all that they say is shown.

    Args:
        said: Attributes of captions, (M, 3), UNSAID where left out.
        shown: Attributes of images, (N, 3).

    Returns:
        Truth values, (N, M).
    """
    unsaid = said[None] == UNSAID
    return np.asarray((unsaid | (said[None] == shown[:, None])).all(axis=2))


def _noun_phrases(name: str, colour: int, background: int) -> list[str]:
    style = "" if background == UNSAID else BACKGROUNDS[background] + " "
    if name == BACKGROUND_ALONE:
        # "the background of ..." is how RAFT asks for the background of a class.
        owners = [f"the {style}background of {other}" for other in OBJECTS[:-1]]
        return [f"the {style}background", _with_article(f"{style}background"), *owners]
    place = f" on {_with_article(style + BACKGROUND_ALONE)}" if style else ""
    tint = "" if colour == UNSAID else COLOURS[colour] + " "
    phrases = [_with_article(tint + name) + place]
    if name in DIGIT_NAMES:
        phrases = [f"the {tint}digit {name}{place}", f"{_with_article(tint + 'digit')} {name}{place}", *phrases]
    return phrases


def _with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words
