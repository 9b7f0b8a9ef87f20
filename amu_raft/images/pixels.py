"""From an RGB picture to the pixels that encoders read: the same as the toolbox's test transform, to the last bit.

The toolbox makes them with torchvision, whose import takes longer than classifying a hundred small pictures.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
MAX_RESIZED = 1 << 26  # pixels, 200 MB; a picture of 1 x 100,000 would become far larger before it is cropped


@dataclass(frozen=True)
class PixelRecipe:
    """Resize the smaller edge to ``size``, then crop the central square of that side.

    Attributes:
        size: Pixels.
        interpolation: One of ``INTERPOLATIONS``.

    Raises:
        ValueError: If the size is not positive or the interpolation unknown.
    """

    size: int
    interpolation: str

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"the input size must be at least 1 pixel, got {self.size}")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"unknown interpolation {self.interpolation!r}; choose from {', '.join(INTERPOLATIONS)}")

    def crop(self, picture: Image.Image) -> Image.Image:
        """Return the square that the encoders see.

        Raises:
            ValueError: If the picture is so narrow that resizing it would exceed ``MAX_RESIZED``.
        """
        width, height = self._resized(*picture.size)
        if width * height > MAX_RESIZED:
            raise ValueError(f"{picture.width} x {picture.height} pixels are too narrow to be cropped to a square")
        resized = picture
        if picture.size != (width, height):
            resized = picture.resize((width, height), INTERPOLATIONS[self.interpolation])
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return resized.crop((left, top, left + self.size, top + self.size))

    def pixels(self, picture: Image.Image) -> Tensor:
        """Return pixels (3, size, size) in [0, 1] of an RGB picture.

        Raises:
            ValueError: If it is not RGB, or too narrow.
        """
        if picture.mode != "RGB":
            raise ValueError(f"an RGB picture is wanted, not one of mode {picture.mode}")
        return scaled(self.square(picture))

    def square(self, picture: Image.Image) -> Tensor:
        """Return the pixels as they are shown, (size, size, 3), uint8."""
        return torch.from_numpy(np.array(self.crop(picture)))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        longer = int(self.size * max(width, height) / min(width, height))
        return (self.size, longer) if width <= height else (longer, self.size)


def scaled(squares: Tensor) -> Tensor:
    """Return shown pixels (..., H, W, 3), uint8, as (..., 3, H, W) in [0, 1]."""
    return squares.movedim(-1, -3).contiguous().to(torch.float32).div(255)
