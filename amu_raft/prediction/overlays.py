"""Why a picture was decided so, as a PNG: where the method looks, or how its logits add up."""

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from amu_raft.model.few_shot_model import Scores
from amu_raft.prediction.heat import COLOURS, heat_over
from amu_raft.prediction.rows import Row
from amu_raft.whole_file import write_whole
from amu_raft.wording import printable

_SIDE = 224  # pixels that a map of attention is drawn with at least
_LONGEST = 60  # characters of a picture's name that its overlay's name keeps


def overlay_path(folder: Path, number: int, image: str) -> Path:
    """Return where the overlay of the n-th picture goes; pictures of the same name in two folders keep apart."""
    stem = re.sub(r"[^\w.-]+", "_", Path(image).stem, flags=re.ASCII)[:_LONGEST].strip("._") or "picture"
    return folder / f"{number:06d}_{stem}.png"


def write_overlay(row: Row, square: Tensor, scores: Scores, path: Path) -> None:
    """Draw the explanation of one picture into a file, which appears whole or not at all; else as ``draw_overlay``.

    Raises:
        OSError: If it cannot be written.
    """
    write_whole(path, partial(draw_overlay, row, square, scores))


def draw_overlay(row: Row, square: Tensor, scores: Scores, stream: IO[bytes]) -> None:
    """Draw the explanation of one picture as a PNG.

    Args:
        row: What is said about it.
        square: What the encoders see, (size, size, 3), uint8.
        scores: Of this picture alone, (1, ...).
        stream: Where the PNG goes.
    """
    maps = scores.explanation.maps
    figure = _maps_figure(square, maps) if maps else _parts_figure(row, square, scores)
    best, clip = (
        f"{_short(guess.name)} {100 * guess.probability:.1f} %" for guess in (row.adapted[0], row.zero_shot[0])
    )
    figure.suptitle(f"{best}  (zero-shot {clip})", fontsize=9, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # class names may be in any script
        figure.savefig(stream, format="png", dpi=120)


def _maps_figure(square: Tensor, maps: Mapping[str, Tensor]) -> Figure:
    """The picture, then each map (1, h, w) over it under its name.

    The maps share one scale from 0, so that even attention looks even.
    """
    figure = Figure(figsize=(2.5 * (len(maps) + 1), 2.75), layout="constrained")
    heats = {name: found[0].float().cpu().numpy() for name, found in maps.items()}
    highest = max(float(heat.max()) for heat in heats.values())
    picture = Image.fromarray(square.numpy())
    shown = {"what CLIP sees": square.numpy()}
    shown |= {name: np.asarray(heat_over(picture, heat, highest, side=_SIDE)) for name, heat in heats.items()}
    places = figure.subplots(1, len(shown))
    for axes, (title, pixels) in zip(places, shown.items(), strict=True):
        _show(axes, pixels, title)
    bar = figure.colorbar(ScalarMappable(Normalize(0, highest), COLOURS), ax=places, fraction=0.03, pad=0.01)
    bar.ax.tick_params(labelsize=7)
    return figure


def _parts_figure(row: Row, square: Tensor, scores: Scores) -> Figure:
    """The picture, then what the logits of the likeliest classes are made of, above the mean of all classes."""
    figure = Figure(figsize=(7.5, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    _show(left, square.numpy(), "what the encoders see")
    labels = [guess.label for guess in row.adapted]
    numbers = {name: float(value[0]) for name, value in scores.numbers.items()}
    parts = {label.format(**numbers): logits for label, logits in scores.explanation.parts.items()}
    height = 0.8 / len(parts)
    places = np.arange(len(labels))
    for index, (name, logits) in enumerate(parts.items()):
        right.barh(places + index * height, _above_mean(logits[0], labels), height, label=name)
    right.set_yticks(places + 0.4 - height / 2, _names(row), fontsize=7, parse_math=False)
    right.invert_yaxis()
    right.axvline(0, color="black", linewidth=0.6)
    right.set_xlabel("logit above the mean of all classes", fontsize=7)
    right.tick_params(axis="x", labelsize=7)
    right.legend(fontsize=7)
    return figure


def _above_mean(logits: Tensor, labels: Sequence[int]) -> Any:
    """A softmax does not change with a common shift, so that only differences between classes say something."""
    centred = logits.float() - logits.float().mean()
    return centred[torch.tensor(labels, device=logits.device)].cpu().numpy()


def _names(row: Row) -> list[str]:
    return [_short(guess.name, 24) for guess in row.adapted]


def _short(name: str, longest: int = 48) -> str:
    shown = printable(name)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _show(axes: Any, pixels: Any, title: str) -> None:
    axes.imshow(pixels)
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
