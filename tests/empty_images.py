"""Files that bear the names of images, for what only lists them."""

from collections.abc import Callable
from pathlib import Path


def write_image(path: Path) -> str:
    """Write a file of a few bytes and its folders; what lists images does not open them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"image")
    return str(path)


def fill(root: Path, make_image: Callable[[Path], str], **classes: int) -> Path:
    """Write ROOT/<class>/<nnn>.jpg, so many for each class."""
    for name, count in classes.items():
        for index in range(count):
            make_image(root / name / f"{index:03d}.jpg")
    return root
