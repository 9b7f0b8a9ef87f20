"""Random views of image batches for self-supervised training. Nothing is ever mirrored."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def random_views(images: Tensor, generator: torch.Generator, *, size: int) -> Tensor:
    """Show each image in a new pose, bent, in other colours, coarser and noisier.

    Args:
        images: (N, 3, H, W), 0 to 1.
        generator: Source of randomness.
        size: Height and width of the views in pixels.

    Returns:
        Views, (N, 3, size, size), about 0 to 1.
    """
    views = _bent(images, generator)
    views = F.interpolate(views, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    views = _recoloured(views, generator)
    views = _some(_coarser(views, generator), views, 0.8, generator)
    return views + _uniform(views, 0.0, 0.1, generator) * torch.randn(views.shape, generator=generator)


def _uniform(images: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)


def _some(changed: Tensor, images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Take the changed version of a random share of the images."""
    return torch.where(_uniform(images, 0.0, 1.0, generator) < share, changed, images)


def _bent(images: Tensor, generator: torch.Generator) -> Tensor:
    """Apply a random affine map (+-20 degrees, scale, shear, shift) and a smooth elastic one."""
    count = len(images)

    def uniform(bound: float) -> Tensor:
        return bound * (2 * torch.rand(count, generator=generator) - 1)

    angle, shear, grow, stretch = uniform(math.radians(20)), uniform(0.3), uniform(0.3).exp(), uniform(0.2).exp()
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos * grow * stretch, (shear * cos - sin) * grow, uniform(0.15)], dim=1),
        torch.stack([sin * grow * stretch, (shear * sin + cos) * grow, uniform(0.15)], dim=1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    knots = torch.randn(count, 2, 4, 4, generator=generator) * 0.07
    shifts = F.interpolate(knots, size=images.shape[2:], mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + shifts.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def _recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """Permute channels, drop colour, invert, and change contrast and brightness, each at random."""
    order = torch.rand(len(images), 3, generator=generator).argsort(dim=1)[:, :, None, None]
    images = images.gather(1, order.expand_as(images))
    images = _some(images.mean(dim=1, keepdim=True).expand_as(images), images, 0.5, generator)
    images = _some(1 - images, images, 0.5, generator)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    contrast = _uniform(images, 0.5, 1.3, generator)
    return (images - middle) * contrast + middle + _uniform(images, -0.15, 0.15, generator)


def _coarser(images: Tensor, generator: torch.Generator) -> Tensor:
    """Reduce the batch to between 7 and 16 pixels across, one draw for all, and enlarge it again."""
    pixels = int(torch.randint(7, 17, (1,), generator=generator))
    small = F.interpolate(images, size=(pixels, pixels), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, size=images.shape[2:], mode="bicubic", align_corners=False)
