"""Measure tiny weights on fresh procedural images: ``python -m scripts.pretraining.evaluate [--weights DIR]``."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from clip import clip
from torch import Tensor

from amu_raft.backbones.aux_encoder import AuxEncoder, load_aux_encoder
from amu_raft.backbones.residual_network import BasicBlock, ResidualNetwork
from amu_raft.backbones.state_files import BUNDLED
from datasets.outlines import SHAPE_NAMES
from scripts.pretraining.captions import BACKGROUNDS, COLOURS, DIGIT_NAMES, DIGIT_TEMPLATE, OBJECTS, SHAPE_TEMPLATE
from scripts.pretraining.make import AUX_FILE, CLIP_FILE
from scripts.pretraining.renderings import draw_pool
from scripts.pretraining.tiny_aux import INPUT_RESOLUTION, STEM_KERNEL, WIDTHS
from scripts.pretraining.visual_tower import attention_logits, normalised

FRESH_SEED = 1_000_003  # no training run's images unless somebody trains with this seed
SHOTS = 16


def measure(folder: Path, *, images: int = 4_000, seed: int = FRESH_SEED) -> dict[str, float]:
    """Measure both encoders of a folder on fresh procedural images.

    Args:
        folder: Where tiny_clip.pt and tiny_aux.pt are.
        images: How many images to draw, of all kinds; at least 1,500, for more than SHOTS of each digit in black and
            white, one image in five.
        seed: Which images; differs from the seed of training.

    Returns:
        Figures by name: accuracies in percent, and the mean entropy of CLIP's pooling attention as a share of the
        largest possible one.

    Raises:
        ValueError: If there are too few images.
    """
    if images < 1_500:
        raise ValueError(f"images must be at least 1500, not {images}")
    pixels, attributes = draw_pool(images, seed=seed)
    objects = attributes[:, 0]
    digits = objects < len(DIGIT_NAMES)
    shapes = ~digits & (objects < len(OBJECTS) - 1)
    colours = [COLOURS.index("white"), COLOURS.index("black")]
    grey = digits & np.isin(attributes[:, 1], colours) & (attributes[:, 2] == BACKGROUNDS.index("plain"))
    model, _ = clip.load(str(folder / CLIP_FILE), device="cpu")
    trained = load_aux_encoder(str(folder / AUX_FILE))
    return {
        "zero-shot digits": zero_shot_accuracy(model, pixels[digits], objects[digits], DIGIT_NAMES, DIGIT_TEMPLATE),
        "zero-shot shapes": zero_shot_accuracy(
            model, pixels[shapes], objects[shapes] - len(DIGIT_NAMES), SHAPE_NAMES, SHAPE_TEMPLATE
        ),
        "attention entropy": attention_entropy(model, pixels),
        f"aux digits, nearest {SHOTS}-shot mean": nearest_mean_accuracy(trained, pixels[grey], objects[grey]),
        "aux with random weights, likewise": nearest_mean_accuracy(_untrained(), pixels[grey], objects[grey]),
    }


@torch.no_grad()
def zero_shot_accuracy(
    model: Any, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classnames: Sequence[str], template: str
) -> float:
    """Return the percentage of images nearest to their own class's prompt.

    Args:
        model: A CLIP.
        pixels: Images, (N, H, W, 3), 0 to 255.
        labels: Positions in classnames, (N,).
        classnames: Names, put into the template.
        template: A prompt with "{}" for the name.
    """
    text = F.normalize(model.encode_text(clip.tokenize([template.format(name) for name in classnames])), dim=-1)
    scores = torch.cat([F.normalize(model.encode_image(batch), dim=-1) @ text.T for batch in _batches(pixels)])
    return 100 * float((scores.argmax(dim=1).numpy() == labels).mean())


@torch.no_grad()
def attention_entropy(model: Any, pixels: npt.NDArray[np.uint8]) -> float:
    """Return the mean entropy of the pooling's attention over the heads and images, 0 (one token) to 1 (all alike)."""
    attnpool = model.visual.attnpool
    entropies: list[Tensor] = []

    def record(_: Any, inputs: tuple[Tensor, ...]) -> None:
        logs = attention_logits(attnpool, inputs[0]).log_softmax(dim=-1)
        entropies.append(-(logs.exp() * logs).sum(dim=-1) / math.log(logs.shape[-1]))

    hook = attnpool.register_forward_pre_hook(record)
    for batch in _batches(pixels):
        model.encode_image(batch)
    hook.remove()
    return float(torch.cat(entropies).mean())


@torch.no_grad()
def nearest_mean_accuracy(encoder: AuxEncoder, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> float:
    """Return the percentage of images nearest to the mean feature of their own class's first SHOTS images.

    Those first images are left out of the count.
    """
    shots = {label: np.flatnonzero(labels == label)[:SHOTS] for label in np.unique(labels).tolist()}
    batches = torch.from_numpy(pixels).permute(0, 3, 1, 2).split(256)
    mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.mean, encoder.std))
    features = F.normalize(torch.cat([encoder((batch.float() / 255 - mean) / std) for batch in batches]), dim=-1)
    features = features - features.mean(dim=0)
    means = F.normalize(torch.stack([features[rows].mean(dim=0) for rows in shots.values()]), dim=-1)
    right = np.array(list(shots))[(features @ means.T).argmax(dim=1).numpy()] == labels
    return 100 * float(np.delete(right, np.concatenate(list(shots.values()))).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.pretraining.evaluate", description="Measure the tiny encoders."
    )
    parser.add_argument("--weights", type=Path, default=BUNDLED, help="folder of the weights (default: the bundled)")
    parser.add_argument("--images", type=int, default=4_000, help="fresh images to draw (default: 4000)")
    options = parser.parse_args(arguments)
    for name, value in measure(options.weights, images=options.images).items():
        print(f"{name:<36}{value:6.3f}" if "entropy" in name else f"{name:<36}{value:6.1f} %")


def _batches(pixels: npt.NDArray[np.uint8]) -> Sequence[Tensor]:
    batches: Sequence[Tensor] = normalised(pixels).split(256)
    return batches


def _untrained() -> AuxEncoder:
    torch.manual_seed(0)
    network = ResidualNetwork(
        BasicBlock, [1, 1, 1, 1], widths=WIDTHS, stem_width=WIDTHS[0], stem_kernel=STEM_KERNEL, max_pool=False
    )
    return AuxEncoder(network, name="random", feature_dim=WIDTHS[-1], input_resolution=INPUT_RESOLUTION)


if __name__ == "__main__":
    main()
