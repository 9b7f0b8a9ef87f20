import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from clip.model import AttentionPool2d

from scripts.pretraining.captions import CaptionBook
from scripts.pretraining.renderings import draw_pool
from scripts.pretraining.text_tower import ReducedVocabulary
from scripts.pretraining.tiny_clip import _new_model
from scripts.pretraining.visual_tower import (
    CLIP_MEAN,
    CLIP_STD,
    CaptionedPool,
    attention_logits,
    attention_penalty,
    normalised,
    train_visual_tower,
    warmed_cosine,
)


def test_warm_up_then_cosine_to_zero():
    rates = [warmed_cosine(step, 100) for step in range(100)]
    assert rates[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])
    assert rates[6] == pytest.approx(1.0)
    assert rates[53] == pytest.approx(0.5)
    assert warmed_cosine(100, 100) == pytest.approx(0.0)
    assert all(later <= earlier for earlier, later in pairwise(rates[6:]))


def test_a_single_step_has_a_rate():
    assert warmed_cosine(0, 1) == 1.0


def test_normalised_by_hand():
    images = np.full((1, 2, 3, 3), 255, dtype=np.uint8)
    images[..., 1] = 0
    pixels = normalised(images)
    assert pixels.shape == (1, 3, 2, 3)
    expected = [(value - mean) / std for value, mean, std in zip((1, 0, 1), CLIP_MEAN, CLIP_STD, strict=True)]
    torch.testing.assert_close(pixels[0, :, 1, 2], torch.tensor(expected))


def test_attention_logits_are_those_of_the_pooling():
    """Their softmax, applied to the value projection by hand, gives the pooling's own output."""
    torch.manual_seed(0)
    pooling = AttentionPool2d(2, 32, 4, 8)
    regions = torch.randn(3, 32, 2, 2)
    weights = attention_logits(pooling, regions).softmax(dim=-1)  # (3, 4, 5)
    tokens = regions.flatten(2).transpose(1, 2)
    tokens = torch.cat([tokens.mean(dim=1, keepdim=True), tokens], dim=1) + pooling.positional_embedding
    values = pooling.v_proj(tokens).unflatten(2, (4, 8))
    pooled = torch.einsum("nhl,nlhd->nhd", weights, values).flatten(1)
    torch.testing.assert_close(pooling.c_proj(pooled), pooling(regions), rtol=1e-4, atol=1e-5)


def test_attention_penalty_by_hand():
    assert attention_penalty(torch.tensor([[1.0, -1.0, 0.5, -0.5]])) == 0
    logits = torch.tensor([[3.0, -3.0, 0.0, 0.0]])  # two stray by 3, 1 past the slack
    assert attention_penalty(logits).item() == pytest.approx(0.5)
    assert attention_penalty(logits + 7).item() == pytest.approx(0.5)


def test_training_lowers_the_loss_and_keeps_attention_spread():
    book = CaptionBook()
    images, attributes = draw_pool(192, seed=0)
    torch.manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(len(book.captions), 64), dim=1)
    # Captions that say the same share a feature, as a trained text tower would have it.
    _, same = np.unique(book.attributes[:, 0], return_inverse=True)
    pool = CaptionedPool(images, attributes, book, features[torch.from_numpy(same)])
    visual = _new_model(ReducedVocabulary(["a star"])).visual
    losses = train_visual_tower(
        visual, pool, samples=64 * 30, generator=torch.Generator().manual_seed(0), rng=np.random.default_rng(0)
    )
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert not visual.training
    assert not visual.attnpool._forward_pre_hooks, "the hook that watched the attention is gone"
    assert math.isfinite(losses[-1])
