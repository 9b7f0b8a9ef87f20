"""What export.py and amu-raft export do with their arguments."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from amu_raft.command import need_packages
from amu_raft.strangers import import_modules

CHECKED = 64  # images of --images that are compared
NEEDED = ("onnx", "onnxscript", "onnxruntime")


def export(arguments: Namespace) -> None:
    """Load, write and check.

    Raises:
        ImportError: If a package that is only needed here is missing, or a module that is to be imported.
        OSError: If a file is missing or cannot be written.
        ValueError: If the model is damaged, or the exported one gives other numbers.
    """
    need_packages(NEEDED, "export")
    from amu_raft.export.onnx_export import export_onnx
    from amu_raft.model.model_folder import load_model_folder

    import_modules(arguments.modules)
    output = Path(arguments.output)
    if output.is_dir():
        raise IsADirectoryError(f"--output {output} is a folder; give a file")
    loaded = load_model_folder(arguments.model, weights=arguments.weights)
    pixels = check_pixels(loaded.info.recipe, arguments.images)
    differences = export_onnx(loaded, output, pixels, opset=arguments.opset)
    shown = ", ".join(f"{name} {difference:.1g}" for name, difference in differences.items())
    print(f"{output}: {len(loaded.info.classnames)} classes, {output.stat().st_size / 1e6:.1f} MB")
    print(f"onnxruntime and torch differ on {len(pixels)} images by at most: {shown}")


def check_pixels(recipe: Any, images: str | None) -> Any:
    """Return real images to check on, (N, 3, size, size) in [0, 1].

    Args:
        recipe: How a picture becomes pixels (``amu_raft.images.pixels.PixelRecipe``).
        images: Picture or folder; None for ten squares out of the two photographs that scikit-learn brings.

    Raises:
        OSError: If a picture cannot be read.
    """
    import torch

    pictures = photographs() if images is None else pictures_at(images)
    pixels = torch.stack([recipe.pixels(picture) for picture in pictures])
    return pixels if len(pixels) >= 3 else torch.cat([pixels, pixels.flip(-1), pixels.flip(-2)])


def photographs() -> list[Any]:
    """Return the photographs of scikit-learn and four quarters of each."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    pictures = [Image.fromarray(array) for array in load_sample_images().images]
    boxes = [(x, y, x + 1, y + 1) for x in (0, 1) for y in (0, 1)]
    quarters = [
        picture.crop(
            (x0 * picture.width // 2, y0 * picture.height // 2, x1 * picture.width // 2, y1 * picture.height // 2)
        )
        for picture in pictures
        for x0, y0, x1, y1 in boxes
    ]
    return pictures + quarters


def pictures_at(path: str) -> list[Any]:
    """Read at most ``CHECKED`` pictures.

    Raises:
        OSError: If one cannot be read, or there is none.
    """
    from itertools import islice

    from amu_raft.prediction.listing import list_pictures
    from dassl.utils.images import read_image

    pictures = []
    for listed in islice(list_pictures([path], getattr(sys.stdin, "buffer", None)), CHECKED):
        if listed.error:
            raise OSError(f"--images {listed.path}: {listed.error}")
        pictures.append(read_image(listed.path))
    return pictures
