"""Stage two of the tiny CLIP: contrastive training of the visual tower against a locked text tower."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from scripts.pretraining.captions import CaptionBook, matches

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
BATCH = 64
PEAK_LEARNING_RATE = 3e-3
WARM_UP = 0.06
FIRST_SCALE, LAST_SCALE, SCALE_RAMP = 14.3, 100.0, 0.3
CONTRAST_WEIGHT, OBJECT_WEIGHT, ATTENTION_WEIGHT = 0.25, 0.5, 0.1
ATTENTION_SLACK = 2.0


@dataclass(frozen=True)
class CaptionedPool:
    """Images and what can be said of them.

    Attributes:
        images: (N, 64, 64, 3), 0 to 255.
        attributes: What they show, (N, 3).
        book: All captions.
        caption_features: L2-normalised features of the book's captions, (captions, D).
    """

    images: npt.NDArray[np.uint8]
    attributes: npt.NDArray[np.int64]
    book: CaptionBook
    caption_features: Tensor


def train_visual_tower(
    visual: Any, pool: CaptionedPool, *, samples: int, generator: torch.Generator, rng: np.random.Generator
) -> list[float]:
    """Train CLIP's visual tower to agree with the locked text tower.

    The loss is a quarter of the image-to-text plus text-to-image contrast, in which a caption is positive for every
    image of the batch that it is true of, half of the cross-entropy against one prompt for each object, and a penalty
    that keeps the pooling's attention from settling on one region.

    Args:
        visual: A CLIP residual network with attention pooling; changed in place.
        pool: Images, their attributes, captions and the captions' features.
        samples: Images seen in all.
        generator: Randomness of order and augmentation.
        rng: Randomness of captions.

    Returns:
        The loss of each step.
    """
    visual.train().to(memory_format=torch.channels_last)
    steps = samples // BATCH
    optimizer = torch.optim.AdamW(visual.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmed_cosine(step, steps))
    pooled_regions: list[Tensor] = []
    hook = visual.attnpool.register_forward_pre_hook(lambda _, inputs: pooled_regions.append(inputs[0]))
    losses = []
    for step in tqdm(range(steps), desc="visual tower", unit="step"):
        rows = torch.randint(len(pool.images), (BATCH,), generator=generator).numpy()
        features = F.normalize(visual(_augmented(pool.images[rows], generator)), dim=-1)
        scale = FIRST_SCALE * (LAST_SCALE / FIRST_SCALE) ** min(1.0, step / (SCALE_RAMP * steps))
        loss = _agreement_loss(features, scale, pool, pool.attributes[rows], rng)
        loss = loss + ATTENTION_WEIGHT * attention_penalty(attention_logits(visual.attnpool, pooled_regions.pop()))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(visual.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    hook.remove()
    visual.eval()
    return losses


def warmed_cosine(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step: a linear warm-up, then half a cosine to zero."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def normalised(images: npt.NDArray[np.uint8]) -> Tensor:
    """Turn images (N, H, W, 3), 0 to 255, into CLIP's input (N, 3, H, W), stored channels last."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return (pixels - torch.tensor(CLIP_MEAN)[:, None, None]) / torch.tensor(CLIP_STD)[:, None, None]


def attention_logits(attnpool: Any, regions: Tensor) -> Tensor:
    """Return the pooling's attention logits of its mean query over all tokens, (N, heads, H * W + 1).

    Args:
        attnpool: CLIP's attention pooling.
        regions: Its input, (N, E, H, W).
    """
    tokens = regions.flatten(2).transpose(1, 2)  # (N, H * W, E)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + attnpool.positional_embedding
    heads: int = attnpool.num_heads
    queries = attnpool.q_proj(tokens[:, :1]).unflatten(2, (heads, -1)).transpose(1, 2)  # (N, heads, 1, E / heads)
    keys = attnpool.k_proj(tokens).unflatten(2, (heads, -1)).transpose(1, 2)  # (N, heads, H * W + 1, E / heads)
    logits: Tensor = (queries @ keys.transpose(2, 3)).squeeze(2) / math.sqrt(keys.shape[-1])
    return logits


def attention_penalty(logits: Tensor) -> Tensor:
    """Return the mean square by which attention logits stray more than ATTENTION_SLACK from their row's mean."""
    stray = (logits - logits.mean(dim=-1, keepdim=True)).abs()
    return F.relu(stray - ATTENTION_SLACK).square().mean()


def _agreement_loss(
    features: Tensor, scale: float, pool: CaptionedPool, shown: npt.NDArray[np.int64], rng: np.random.Generator
) -> Tensor:
    captions = [pool.book.draw((int(a), int(b), int(c)), rng) for a, b, c in shown]
    true = torch.from_numpy(matches(pool.book.attributes[captions], shown)).float()  # (N images, N captions)
    logits = scale * features @ pool.caption_features[captions].T
    image_to_text = F.cross_entropy(logits, true / true.sum(dim=1, keepdim=True))
    text_to_image = F.cross_entropy(logits.T, true.T / true.T.sum(dim=1, keepdim=True))
    prompts = pool.caption_features[pool.book.object_prompts(rng)]
    objects = F.cross_entropy(scale * features @ prompts.T, torch.from_numpy(shown[:, 0]))
    return CONTRAST_WEIGHT * (image_to_text + text_to_image) + OBJECT_WEIGHT * objects


def _augmented(images: npt.NDArray[np.uint8], generator: torch.Generator) -> Tensor:
    """Normalise a batch after random changes of contrast, brightness and noise."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)

    pixels = normalised(images)
    grain = torch.randn(pixels.shape, generator=generator).contiguous(memory_format=torch.channels_last)
    return pixels * uniform(0.7, 1.3) + uniform(-0.3, 0.3) + uniform(0.0, 0.25) * grain
