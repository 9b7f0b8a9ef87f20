"""Normalisation of pixels, by the statistics that each encoder expects, and of features."""

import copy
from array import array
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ChannelStatistics:
    """Mean and standard deviation per colour channel by which images are, or are to be, normalised.

    Args:
        mean: Three numbers in units of the [0, 1] image.
        std: Three positive numbers in the same unit.

    Raises:
        ValueError: If there are not three of each or a standard deviation is not positive.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"channel statistics need three means and three positive stds, got {mean} and {std}")
        self._numbers = array("f", (*mean, *std))  # to be compared: comparing tensors stops a tracer
        self.mean = torch.tensor(tuple(mean), dtype=torch.float32).view(3, 1, 1)
        self.std = torch.tensor(tuple(std), dtype=torch.float32).view(3, 1, 1)

    def to(self, device: torch.device) -> "ChannelStatistics":
        """Return the same statistics on another device."""
        moved = copy.copy(self)
        moved.mean, moved.std = self.mean.to(device), self.std.to(device)
        return moved

    def same_as(self, other: "ChannelStatistics") -> bool:
        """Tell whether both describe the same normalisation."""
        return self._numbers == other._numbers


IDENTITY = ChannelStatistics((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
CLIP_STATISTICS = ChannelStatistics(CLIP_MEAN, CLIP_STD)
IMAGENET_STATISTICS = ChannelStatistics(IMAGENET_MEAN, IMAGENET_STD)


def renormalize(images: Tensor, source: ChannelStatistics, target: ChannelStatistics) -> Tensor:
    """Carry images from one normalisation to another by one affine map.

    Two encoders see the same decoded and augmented pixels, each in its own normalisation.

    Args:
        images: (N, 3, H, W), normalised by ``source``; left untouched.
        source: How they are normalised; ``IDENTITY`` for pixels in [0, 1].
        target: How they shall be normalised.

    Returns:
        Images normalised by ``target``; the argument itself where both are the same.
    """
    if source.same_as(target):
        return images
    source, target = source.to(images.device), target.to(images.device)
    if source.same_as(IDENTITY):  # (x - mean) / std as written in both papers' code, to the last bit
        return (images - target.mean) / target.std
    scale = source.std / target.std
    return images * scale + (source.mean - target.mean) / target.std


def unit_rows(features: Tensor) -> Tensor:
    """Return features (N, D) in float32 with rows of length 1; the argument is left untouched."""
    return F.normalize(features.float(), dim=-1)
