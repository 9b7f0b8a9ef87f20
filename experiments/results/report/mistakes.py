"""The images that a run got wrong: what they are, what was answered, and where the method looked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.results.attention import AttentionMaps, read_attention
from experiments.results.predictions import Predictions, read_own_predictions
from experiments.results.report.host_paths import HostPaths
from experiments.results.report.page_size import PageSize
from experiments.results.report.thumbnails import Picture, open_square, overlay, picture
from experiments.results.run_folders import Run

# Both tokens start from CLIP's one, so that one map of "before" says it all.
MAPS = (
    ("class_before", "CLIP's own pooling"),
    ("class_after", "adapted, class token"),
    ("background_after", "adapted, background token"),
)


@dataclass(frozen=True)
class Guess:
    """A class and its probability in percent."""

    name: str
    percent: float
    true: bool


@dataclass(frozen=True)
class Mistake:
    """One image that was classified wrongly."""

    picture: Picture
    path: str
    true: str
    guesses: tuple[Guess, ...]
    zero_shot: Guess | None
    notes: tuple[str, ...] = ()
    overlays: tuple[tuple[str, Picture], ...] = ()


@dataclass(frozen=True)
class Gallery:
    """The wrong images of a run, or a note why none are shown."""

    total: int = 0
    wrong: int = 0
    split: str = ""
    mistakes: tuple[Mistake, ...] = ()
    note: str = ""

    @property
    def has_overlays(self) -> bool:
        """Whether attention is shown for some image."""
        return any(mistake.overlays for mistake in self.mistakes)


def gallery(run: Run, limit: int, size: PageSize, paths: HostPaths, name: str) -> Gallery:
    """Collect the wrong images of a run.

    Args:
        run: A finished run.
        limit: Most images to show.
        size: Room in the page; what does not fit is noted there.
        paths: Cuts the machine's paths out of messages.
        name: The run, for such notes.
    """
    try:
        predictions = read_own_predictions(run.folder, run.result)
        attention = _attention(run, len(predictions.labels))
    except FileNotFoundError:
        return Gallery(note="This run kept no predictions (TEST.KEEP_PREDICTIONS), so its wrong images are not known.")
    except (OSError, ValueError) as error:
        return Gallery(note=paths.cut(str(error)))
    order = order_of_mistakes(predictions, attention)
    mistakes: list[Mistake] = []
    for row in order[:limit].tolist():
        mistake = _mistake(predictions, attention, row)
        if not size.take(_bytes(mistake), f"wrong images of {name}"):
            break
        mistakes.append(mistake)
    return Gallery(len(predictions.labels), len(order), predictions.split, tuple(mistakes))


def order_of_mistakes(predictions: Predictions, attention: AttentionMaps | None) -> NDArray[Any]:
    """Return the rows of wrong images: those with attention maps first, then by confidence in the wrong answer."""
    wrong = np.flatnonzero(~predictions.correct)
    mapped = np.isin(wrong, attention.rows) if attention is not None else np.zeros(len(wrong), bool)
    return wrong[np.lexsort((wrong, -predictions.confidence[wrong], ~mapped))]


def _attention(run: Run, num_images: int) -> AttentionMaps | None:
    try:
        return read_attention(run.folder, num_images)
    except FileNotFoundError:
        return None


def _mistake(predictions: Predictions, attention: AttentionMaps | None, row: int) -> Mistake:
    label = int(predictions.labels[row])
    true, path = predictions.classnames[label], predictions.images[row]
    guesses = _guesses(predictions, predictions.top5[row], predictions.top5_probabilities[row], label)
    zero_shot = None
    if predictions.zero_shot_top5 is not None and predictions.zero_shot_probabilities is not None:
        labels, probabilities = predictions.zero_shot_top5[row], predictions.zero_shot_probabilities[row]
        zero_shot = _guesses(predictions, labels, probabilities, label)[0]
    image = open_square(predictions.root, path)
    shown = picture(image, f"{true}, taken for {guesses[0].name}")
    return Mistake(
        picture=shown,
        path=path,
        true=true,
        guesses=guesses,
        zero_shot=zero_shot,
        notes=_notes(predictions, row),
        overlays=() if isinstance(image, str) else _overlays(attention, row, image),
    )


def _guesses(predictions: Predictions, labels: Any, probabilities: Any, true: int) -> tuple[Guess, ...]:
    pairs = zip(labels.tolist(), probabilities.tolist(), strict=True)
    return tuple(Guess(predictions.classnames[label], 100 * share, label == true) for label, share in pairs)


def _notes(predictions: Predictions, row: int) -> tuple[str, ...]:
    """Say what a method recorded beside its answer."""
    notes = []
    extras: Mapping[str, Any] = predictions.extras
    for name, values in sorted(extras.items()):
        value = values[row].item()
        if name.endswith("_prediction") and 0 <= value < len(predictions.classnames):
            notes.append(f"{name.removesuffix('_prediction')} alone: {predictions.classnames[int(value)]}")
        else:
            notes.append(f"{name.replace('_', ' ')}: {value:.3g}")
    return tuple(notes)


def _overlays(attention: AttentionMaps | None, row: int, image: Image.Image) -> tuple[tuple[str, Picture], ...]:
    if attention is None or row not in attention.rows:
        return ()
    place = int(np.flatnonzero(attention.rows == row)[0])
    maps = {name: getattr(attention, name)[place] for name, _ in MAPS}
    highest = max(float(values.max()) for values in maps.values())
    return tuple(
        (caption, picture(overlay(image, maps[name], highest), f"attention of {caption}")) for name, caption in MAPS
    )


def _bytes(mistake: Mistake) -> int:
    """Return the room that a mistake takes, its text included."""
    return 1500 + len(mistake.picture.source) + sum(len(shown.source) for _, shown in mistake.overlays)
