import math

import pytest
import torch

from amu_raft.backbones.aux_encoder import load_aux_encoder
from scripts.pretraining.packing import packed
from scripts.pretraining.tiny_aux import AuxBudget, contrast_loss, train_tiny_aux
from scripts.pretraining.views import random_views


def test_contrast_loss_by_hand():
    one, two = [1.0, 0.0], [0.0, 2.0]  # lengths do not matter
    # Each row: its partner at cosine 1, two others at cosine 0.
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert contrast_loss(torch.tensor([one, two, one, two]), temperature=0.5).item() == pytest.approx(expected)


def test_contrast_loss_of_equal_projections_is_that_of_guessing():
    assert contrast_loss(torch.ones(8, 3), temperature=0.2).item() == pytest.approx(math.log(7))


def test_contrast_loss_prefers_partners():
    generator = torch.Generator().manual_seed(0)
    views = torch.randn(6, 16, generator=generator)
    paired = contrast_loss(torch.cat([views, views]), temperature=0.2)
    mixed = contrast_loss(torch.cat([views, views.roll(1, 0)]), temperature=0.2)
    assert paired < mixed


def test_views_differ_but_repeat_with_the_generator():
    images = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    first = random_views(images, torch.Generator().manual_seed(1), size=32)
    again = random_views(images, torch.Generator().manual_seed(1), size=32)
    other = random_views(images, torch.Generator().manual_seed(2), size=32)
    assert first.shape == (6, 3, 32, 32)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert first.isfinite().all()


def test_views_are_never_mirrored():
    """A bar on the left edge stays in the left half on average, whatever the pose and colours."""
    images = torch.zeros(64, 3, 64, 64)
    images[..., 4:16] = 1.0
    views = random_views(images, torch.Generator().manual_seed(0), size=32)
    ink = (views - views.median(dim=3, keepdim=True).values).abs().mean(dim=(1, 2))
    assert (ink[:, :16].mean(dim=1) > ink[:, 16:].mean(dim=1)).float().mean() > 0.85


def test_training_lowers_the_loss_and_the_loader_takes_the_result(tmp_path):
    trained = train_tiny_aux(AuxBudget(samples=256 * 4, pool=64), seed=0)
    assert len(trained.losses) == 4
    assert trained.losses[-1] < trained.losses[0]
    (tmp_path / "aux.pt").write_bytes(packed(trained.state))
    encoder = load_aux_encoder(str(tmp_path / "aux.pt"))
    assert (encoder.feature_dim, encoder.input_resolution) == (192, 32)
    assert trained.state["layer1.0.conv1.weight"].dtype == torch.float16
    assert trained.state["layer2.0.downsample.1.running_var"].dtype == torch.float32
