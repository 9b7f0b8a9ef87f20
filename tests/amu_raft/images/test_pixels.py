from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T  # type: ignore[import-untyped]

from amu_raft.images.pixels import INTERPOLATIONS, PixelRecipe, scaled
from dassl.data.transforms.transforms import INTERPOLATION_MODES
from dassl.utils.images import to_rgb

SIZES = [(1, 1), (1, 3), (7, 5), (63, 64), (64, 64), (64, 65), (65, 64), (100, 37), (333, 500), (500, 334), (224, 225)]


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    noise = np.random.RandomState(width * 7 + height).randint(0, 256, (height, width, 4)).astype(np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode)


def torchvisions(size: int, interpolation: str) -> Callable[[Image.Image], torch.Tensor]:
    """The toolbox's test transform without normalisation."""
    steps = [T.Resize(size, interpolation=INTERPOLATION_MODES[interpolation]), T.CenterCrop((size, size)), T.ToTensor()]
    transform: Callable[[Image.Image], torch.Tensor] = T.Compose(steps)
    return transform


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [1, 32, 63, 224])
def test_the_same_pixels_as_in_training(size: int, interpolation: str) -> None:
    ours, theirs = PixelRecipe(size, interpolation), torchvisions(size, interpolation)
    for width, height in SIZES:
        image = picture(width, height)
        assert torch.equal(ours.pixels(image), theirs(image)), (width, height)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "F"])
def test_every_mode_once_it_is_rgb(mode: str) -> None:
    grey = mode in ("I;16", "F")
    image = to_rgb(picture(90, 71, "L").convert("I" if mode == "I;16" else mode) if grey else picture(90, 71, mode))
    assert torch.equal(PixelRecipe(64, "bicubic").pixels(image), torchvisions(64, "bicubic")(image))


def test_a_batch_of_squares_is_scaled_like_each() -> None:
    recipe, images = PixelRecipe(16, "bilinear"), [picture(20, 30), picture(31, 17)]
    together = scaled(torch.stack([recipe.square(image) for image in images]))
    assert together.is_contiguous()
    assert torch.equal(together, torch.stack([recipe.pixels(image) for image in images]))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        PixelRecipe(0, "bicubic")
    with pytest.raises(ValueError, match="unknown interpolation 'lanczos'; choose from bilinear, bicubic, nearest"):
        PixelRecipe(8, "lanczos")
    with pytest.raises(ValueError, match="an RGB picture is wanted, not one of mode L"):
        PixelRecipe(8, "bicubic").pixels(picture(9, 9, "L"))
    with pytest.raises(ValueError, match="1 x 60000 pixels are too narrow"):
        PixelRecipe(224, "bicubic").pixels(Image.new("RGB", (1, 60000)))
