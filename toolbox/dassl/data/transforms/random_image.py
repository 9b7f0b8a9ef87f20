"""Transforms that torchvision does not have."""

import random

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
from torchvision.transforms import functional as TF


class Random2DTranslation:
    """Enlarge an image to 1.125 of the wanted size and cut the wanted size out at random, or just resize it.

    Draws from Python's global ``random``.

    Args:
        height: Height of the result, pixels.
        width: Width of the result, pixels.
        p: Probability of the enlargement.
        interpolation: How pixels are interpolated.
    """

    def __init__(
        self,
        height: int,
        width: int,
        p: float = 0.5,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ) -> None:
        self.height = height
        self.width = width
        self.p = p
        self.interpolation = interpolation

    def __call__(self, img: Image.Image) -> Image.Image:
        """Return the image at the wanted size."""
        if random.uniform(0, 1) > self.p:
            resized: Image.Image = TF.resize(img, [self.height, self.width], self.interpolation)
            return resized
        height, width = round(self.height * 1.125), round(self.width * 1.125)
        enlarged = TF.resize(img, [height, width], self.interpolation)
        left = round(random.uniform(0, width - self.width))
        top = round(random.uniform(0, height - self.height))
        cut: Image.Image = TF.crop(enlarged, top, left, self.height, self.width)
        return cut


class Cutout:
    """Set square holes in an image to zero.

    Draws from NumPy's global generator: the row, then the column of each hole's centre, which may lie at the edge.

    Args:
        n_holes: Number of holes.
        length: Side of a hole, pixels.

    Source:
        DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017).
    """

    def __init__(self, n_holes: int = 1, length: int = 16) -> None:
        self.n_holes = n_holes
        self.length = length

    def __call__(self, img: Tensor) -> Tensor:
        """Return the image tensor (3, H, W) with holes."""
        height, width = img.shape[-2:]
        mask = torch.ones(height, width)
        half = self.length // 2
        for _ in range(self.n_holes):
            row, column = np.random.randint(height), np.random.randint(width)
            mask[max(row - half, 0) : row + half, max(column - half, 0) : column + half] = 0
        return img * mask


class GaussianNoise:
    """Add normal noise to an image tensor, with a probability.

    Args:
        mean: Mean of the noise, in the units of the tensor.
        std: Standard deviation of the noise.
        p: Probability of adding any.
    """

    def __init__(self, mean: float = 0.0, std: float = 0.15, p: float = 0.5) -> None:
        self.mean = mean
        self.std = std
        self.p = p

    def __call__(self, img: Tensor) -> Tensor:
        """Return the image tensor, perhaps with noise."""
        if random.uniform(0, 1) > self.p:
            return img
        return img + torch.randn(img.shape) * self.std + self.mean


class InstanceNormalization:
    """Give each channel of an image tensor (3, H, W) mean 0 and standard deviation 1.

    Args:
        eps: Added to the standard deviation.
    """

    def __init__(self, eps: float = 1e-8) -> None:
        self.eps = eps

    def __call__(self, img: Tensor) -> Tensor:
        """Return the normalised image tensor."""
        flat = img.flatten(1)
        mean, std = flat.mean(dim=1), flat.std(dim=1)
        return (img - mean[:, None, None]) / (std[:, None, None] + self.eps)
