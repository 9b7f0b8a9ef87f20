import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.functional import normalize

from amu_raft.backbones.preprocess import (
    CLIP_MEAN,
    CLIP_STATISTICS,
    CLIP_STD,
    IDENTITY,
    IMAGENET_MEAN,
    IMAGENET_STATISTICS,
    IMAGENET_STD,
    ChannelStatistics,
    renormalize,
    unit_rows,
)

IMAGES = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
MEANS, STDS = (st.tuples(*[st.floats(low, 1)] * 3) for low in (0.0, 0.05))


@pytest.mark.parametrize(
    ("target", "mean", "std"),
    [(CLIP_STATISTICS, CLIP_MEAN, CLIP_STD), (IMAGENET_STATISTICS, IMAGENET_MEAN, IMAGENET_STD)],
)
def test_pixels_are_normalised_to_the_last_bit_as_torchvision_does(
    target: ChannelStatistics, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    before = IMAGES.clone()
    assert torch.equal(renormalize(IMAGES, IDENTITY, target), normalize(IMAGES, list(mean), list(std)))
    assert torch.equal(IMAGES, before)


def test_one_affine_map_leads_from_clip_to_imagenet() -> None:
    for_clip = renormalize(IMAGES, IDENTITY, CLIP_STATISTICS)
    before = for_clip.clone()
    direct = renormalize(IMAGES.double(), IDENTITY, IMAGENET_STATISTICS)
    found = renormalize(for_clip, CLIP_STATISTICS, IMAGENET_STATISTICS)
    assert float((found - direct).abs().max()) < 2e-6  # a few units in the last place of float32 at 2.6
    assert torch.equal(for_clip, before)


def test_the_same_statistics_give_the_argument_itself() -> None:
    assert renormalize(IMAGES, CLIP_STATISTICS, ChannelStatistics(CLIP_MEAN, CLIP_STD)) is IMAGES


@given(means=st.tuples(MEANS, MEANS), stds=st.tuples(STDS, STDS))
def test_there_and_back_again(means: tuple[list[float], list[float]], stds: tuple[list[float], list[float]]) -> None:
    first, second = (ChannelStatistics(mean, std) for mean, std in zip(means, stds, strict=True))
    back = renormalize(renormalize(IMAGES, first, second), second, first)
    torch.testing.assert_close(back, IMAGES, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0.5,), (1.0, 1.0, 1.0)),
        ((0.5, 0.5, 0.5), (1.0, 1.0)),
        ((0, 0, 0), (1.0, 0.0, 1.0)),
        ((0, 0, 0), (1.0, -1.0, 1)),
    ],
)
def test_bad_statistics(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="need three means and three positive stds"):
        ChannelStatistics(mean, std)


def test_statistics_move_as_a_whole() -> None:
    moved = CLIP_STATISTICS.to(torch.device("cpu"))
    assert moved is not CLIP_STATISTICS and moved.same_as(CLIP_STATISTICS) and not moved.same_as(IMAGENET_STATISTICS)


@given(row=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8))
def test_unit_rows(row: list[float]) -> None:
    features = torch.tensor([row, [1.0] * len(row)])
    before = features.clone()
    found = unit_rows(features)
    length = float(features[0].norm())
    if length > 1e-3:
        assert float(found[0].norm()) == pytest.approx(1, abs=1e-5)
        torch.testing.assert_close(found[0] * length, features[0], rtol=1e-4, atol=1e-4 * length)
    assert torch.isfinite(found).all() and torch.equal(features, before)


def test_unit_rows_of_zeros_and_halves() -> None:
    assert unit_rows(torch.zeros(2, 3)).tolist() == [[0.0] * 3] * 2
    assert unit_rows(torch.tensor([[3.0, 4.0]]).half()).dtype == torch.float32
