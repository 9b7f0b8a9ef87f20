"""Figures as files and bytes: PNG, SVG and PDF, the same bytes for the same data."""

import base64
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from amu_raft.whole_file import replace_file
from experiments.results.figures.style import print_settings

FORMATS = ("png", "svg", "pdf")
DPI = 150
# Time and version of the program would make equal figures differ.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


def render(figure: Figure, form: str, *, dpi: float = DPI) -> bytes:
    """Return a figure as the bytes of an image file.

    Args:
        figure: Made by a module of this package.
        form: One of ``FORMATS``.
        dpi: Dots per inch of PNG, and of images inside SVG and PDF.

    Raises:
        ValueError: If the format is none of them.
    """
    if form not in FORMATS:
        raise ValueError(f"figures are written as {', '.join(FORMATS)}, not as {form!r}")
    stream = io.BytesIO()
    with print_settings(), warnings.catch_warnings():
        # A script that no installed font has shows as boxes; one warning per character says no more.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format=form, dpi=dpi, metadata=_METADATA[form])
    return stream.getvalue()


def check_format(path: Path | str) -> str:
    """Return the format that a file's ending names.

    Raises:
        ValueError: If it names none of ``FORMATS``.
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise ValueError(f"a figure's file must end in {', '.join(f'.{name}' for name in FORMATS)}, got {str(path)!r}")
    return form


def save_figure(figure: Figure, path: Path | str, *, dpi: float = DPI) -> None:
    """Write a figure in the format that the file's ending names, whole or not at all.

    Raises:
        ValueError: If the ending names none of ``FORMATS``.
        OSError: If the file cannot be written.
    """
    replace_file(render(figure, check_format(path), dpi=dpi), path)


def data_uri(figure: Figure, form: str = "svg", *, dpi: float = DPI) -> str:
    """Return a figure as the address of an image that is inside a page."""
    return f"data:{_MEDIA_TYPES.get(form, '')};base64,{base64.b64encode(render(figure, form, dpi=dpi)).decode('ascii')}"


def pixels(figure: Figure, *, dpi: float = DPI) -> NDArray[np.uint8]:
    """Return a figure as RGB pixels (H, W, 3), 0 to 255."""
    from PIL import Image

    with Image.open(io.BytesIO(render(figure, "png", dpi=dpi))) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)
