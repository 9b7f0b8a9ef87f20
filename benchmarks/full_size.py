"""Encoders of CLIP RN50's and ResNet-50's real sizes with random weights, and photographs that are none, on disk.

What a run costs depends on sizes alone, so that benchmarks need no download.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision.models import resnet50

from amu_raft.backbones.clip_package import clip_model
from amu_raft.backbones.state_files import save_state_file

RN50 = {
    "embed_dim": 1024,
    "image_resolution": 224,
    "vision_layers": (3, 4, 6, 3),
    "vision_width": 64,
    "vision_patch_size": None,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 512,
    "transformer_heads": 8,
    "transformer_layers": 12,
}
PHOTOGRAPH = (500, 375)  # width and height of an ordinary image of ImageNet


def write_clip(path: Path, *, seed: int = 0) -> Path:
    """Write random weights in the layout and the precision in which OpenAI publishes RN50."""
    torch.manual_seed(seed)
    model = clip_model.CLIP(**RN50)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(100))
    spread_out(model.visual)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_state_file(halves, path)
    return path


def write_resnet(path: Path, *, seed: int = 0) -> Path:
    """Write random weights of torchvision's ResNet-50."""
    torch.manual_seed(seed)
    model = resnet50(weights=None)
    spread_out(model)
    save_state_file(model.state_dict(), path)
    return path


@torch.no_grad()
def spread_out(encoder: nn.Module, *, side: int = 224) -> None:
    """Give a new residual network features that differ from image to image, or nobody could tell right from wrong.

    Its normalisations take their statistics from a few images, and every block adds something.
    """
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    for name, parameter in encoder.named_parameters():
        if name.endswith("bn3.weight"):
            nn.init.uniform_(parameter, 0.5, 1.0)
    coarse = torch.randn(8, 3, 7, 7) + torch.randn(8, 3, 1, 1)
    encoder.train()(F.interpolate(coarse, size=side, mode="bicubic"))
    encoder.eval()


def write_photographs(
    root: Path, counts: Mapping[str, int], *, classes: int, size: tuple[int, int] = PHOTOGRAPH, seed: int = 0
) -> Path:
    """Write ROOT/<split>/<class>/<n>.jpg: smooth random colours and some noise, 50 to 100 KB each as photographs are.

    Args:
        root: Where to.
        counts: Images per class of each split.
        classes: Number of classes; each has colours of its own.
        size: Width and height.
        seed: Seed of all pixels.
    """
    random = np.random.default_rng(seed)
    for label in range(classes):
        coarse = random.integers(0, 256, (5, 7, 3))
        for split, count in counts.items():
            folder = root / split / f"class {label}"
            folder.mkdir(parents=True)
            for index in range(count):
                varied = np.clip(coarse + random.normal(0, 40, coarse.shape), 0, 255).astype(np.uint8)
                smooth = np.asarray(Image.fromarray(varied).resize(size, Image.Resampling.BICUBIC), np.float32)
                noisy = smooth + random.normal(0, 12, smooth.shape)
                Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{index}.jpg", quality=90)
    return root
