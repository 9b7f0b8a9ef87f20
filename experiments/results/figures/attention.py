"""Where a method looks: attention of the class and the background token over an image, before and after tuning."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps

from amu_raft.prediction.heat import heat_over
from experiments.results.figures.style import (
    OVERLAY,
    PAGE_WIDTH,
    SMALL,
    new_figure,
    say_nothing_to_draw,
    shorten,
    styled,
)

MAPS = {
    "class_before": "class token,\nbefore tuning",
    "class_after": "class token,\nafter tuning",
    "background_before": "background token,\nbefore tuning",
    "background_after": "background token,\nafter tuning",
}
_SIDE = 224  # pixels of a drawn image
_OPACITY = 0.6


@dataclass(frozen=True)
class AttentionRow:
    """One image and where the two tokens look.

    Attributes:
        image: The image, or its path; what the model saw is its centre, as evaluation crops it.
        class_before: Attention over the regions, (h, w), 0 or more; before: frozen CLIP's pooling.
        class_after: Likewise, of the tuned pooling.
        background_before: Likewise, of the background token.
        background_after: Likewise.
        caption: What is written beside the image, such as the true and the predicted class.
    """

    image: Path | str | Image.Image
    class_before: ArrayLike
    class_after: ArrayLike
    background_before: ArrayLike
    background_after: ArrayLike
    caption: str = ""


@styled
def attention_figure(rows: Sequence[AttentionRow]) -> Figure:
    """Draw a line of pictures per image: itself, then the attention maps over it, each region one sharp square.

    The four maps of a line share one scale, from 0 to the largest attention among them, which stands below the image.

    Raises:
        ValueError: If a map is not (h, w), or is negative or not finite.
    """
    if not rows:
        figure = new_figure(PAGE_WIDTH / 2, 1.2)
        say_nothing_to_draw(figure.subplots(), "no attention maps in this run")
        return figure
    side = PAGE_WIDTH / (1 + len(MAPS))
    lines = sum(len(row.caption.splitlines()) + 1 for row in rows)
    figure = new_figure(PAGE_WIDTH, len(rows) * side + 0.14 * lines + 0.9)
    axes = figure.subplots(len(rows), 1 + len(MAPS), squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        _draw_row(line, row)
    for axis, header in zip(axes[0], ("image as evaluated", *MAPS.values()), strict=True):
        axis.set_title(header)
    scale = matplotlib.cm.ScalarMappable(cmap=OVERLAY)
    bar = figure.colorbar(scale, ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.01, ticks=[0, 1])
    bar.set_ticklabels(["0", "largest of its line"])
    bar.set_label("attention to the region")
    return figure


def as_evaluated(image: Image.Image) -> Image.Image:
    """Return the square centre of an image, (_SIDE, _SIDE), which is what evaluation shows the model."""
    return ImageOps.fit(image.convert("RGB"), (_SIDE, _SIDE), method=Image.Resampling.BICUBIC)


def overlay(image: Image.Image, attention: NDArray[np.float64], peak: float) -> NDArray[np.uint8]:
    """Lay a map (h, w) over an image in grey, each region as a square with hard edges.

    Args:
        image: Square.
        attention: 0 or more.
        peak: The attention that gets the brightest colour, above 0.

    Returns:
        (_SIDE, _SIDE, 3), RGB.
    """
    drawn = heat_over(image, attention, peak, colours=OVERLAY, resampling=Image.Resampling.NEAREST, heat_share=_OPACITY)
    return np.asarray(drawn, dtype=np.uint8)


def _draw_row(axes: NDArray[np.object_], row: AttentionRow) -> None:
    maps = {name: _checked(name, getattr(row, name)) for name in MAPS}
    peak = max(float(attention.max()) for attention in maps.values())
    try:
        picture = as_evaluated(_open(row.image))
    except OSError as error:
        picture = Image.new("RGB", (_SIDE, _SIDE), "white")
        say_nothing_to_draw(axes[0], "image missing" if isinstance(error, FileNotFoundError) else "image damaged")
    else:
        axes[0].imshow(np.asarray(picture))
    caption = "\n".join(shorten(line) for line in row.caption.splitlines())
    axes[0].set_xlabel(f"{caption}\nlargest {peak:.3f}".strip(), fontsize=SMALL)
    for axis, attention in zip(axes[1:], maps.values(), strict=True):
        axis.imshow(overlay(picture, attention, peak or 1.0), interpolation="nearest")
        _mark_peak(axis, attention)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(True)


def _mark_peak(axis: Axes, attention: NDArray[np.float64]) -> None:
    """Frame the region that is looked at most, so that it is found in grey print."""
    height, width = _SIDE / attention.shape[0], _SIDE / attention.shape[1]
    row, column = np.unravel_index(int(attention.argmax()), attention.shape)
    corner = (column * width - 0.5, row * height - 0.5)
    for colour, line in (("black", 2.2), ("white", 1.0)):
        frame = matplotlib.patches.Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=line)
        axis.add_patch(frame)


def _checked(name: str, given: ArrayLike) -> NDArray[np.float64]:
    attention = np.asarray(given, dtype=np.float64)
    if attention.ndim != 2 or 0 in attention.shape:
        raise ValueError(f"attention map {name} must be (h, w), got {attention.shape}")
    if not (np.isfinite(attention).all() and attention.min() >= 0):
        raise ValueError(f"attention map {name} must be finite and 0 or more")
    return attention


def _open(image: Path | str | Image.Image) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    from dassl.utils import read_image  # imports torch: only where an image is read

    return read_image(str(image))
