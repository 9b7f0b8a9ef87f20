import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.methods.raft.losses import RegionLogits, raft_loss, region_logits

SETTINGS = {
    "difference_weight": 0.1,
    "consistency_weight": 0.5,
    "region_temperature": 2.0,
    "background_temperature": 3.0,
}


def cross_entropy(row: list[float], label: int) -> float:
    return math.log(sum(math.exp(value) for value in row)) - row[label]


def small_logits() -> RegionLogits:
    clip, classes, background = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([[5.0, 0.0]])
    text = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])  # two classes and the background column
    return region_logits(clip, classes, background, text, logit_scale=10.0)


def test_region_logits_by_hand() -> None:
    found = small_logits()
    torch.testing.assert_close(found.zero_shot, torch.tensor([[6.0, 8.0]]))
    torch.testing.assert_close(found.region, torch.tensor([[0.0, 10.0]]))
    torch.testing.assert_close(found.background, torch.tensor([[10.0, 0.0, 5.0]]))
    torch.testing.assert_close(found.class_vectors, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(found.background_vectors, torch.tensor([[1.0, 0.0]]))


def test_raft_loss_by_hand() -> None:
    loss = raft_loss(small_logits(), torch.tensor([1]), **SETTINGS)
    expected = {
        "difference": 0.0 - 1,  # the two vectors are orthogonal
        "consistency": (6.0 + 2.0) / 2,
        "region": cross_entropy([0.0, 5.0], 1),
        "background": cross_entropy([10 / 3, 0.0, 5 / 3], 2),
    }
    for name, value in expected.items():
        assert float(getattr(loss, name)) == pytest.approx(value, rel=1e-5), name
    total = 0.1 * expected["difference"] + 0.5 * expected["consistency"] + expected["region"] + expected["background"]
    assert float(loss.total) == pytest.approx(total, rel=1e-5)


@given(lengths=st.tuples(*[st.floats(1e-3, 1e3)] * 3))
def test_only_directions_of_the_vectors_count(lengths: tuple[float, float, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = [torch.randn(3, 6, generator=generator) for _ in range(3)]
    text = torch.randn(6, 5, generator=generator)
    before = [vector.clone() for vector in vectors]
    clip, classes, background = vectors
    plain = region_logits(clip, classes, background, text, logit_scale=100.0)
    clip, classes, background = (vector * length for vector, length in zip(vectors, lengths, strict=True))
    scaled = region_logits(clip, classes, background, text, logit_scale=100.0)
    for first, second in zip(plain, scaled, strict=True):
        torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-4)
    assert all(torch.equal(now, then) for now, then in zip(vectors, before, strict=True))
    assert plain.zero_shot.shape == plain.region.shape == (3, 4) and plain.background.shape == (3, 5)


def test_equal_vectors_have_no_difference_and_no_inconsistency() -> None:
    vector, text = torch.randn(3, 6), torch.randn(6, 5)
    loss = raft_loss(
        region_logits(vector, vector, vector, text, logit_scale=100.0), torch.tensor([0, 1, 2]), **SETTINGS
    )
    assert float(loss.difference) == pytest.approx(0, abs=1e-6) and float(loss.consistency) == 0


@pytest.mark.parametrize("name", ["region_temperature", "background_temperature"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_temperatures_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(ValueError, match="temperatures must be positive, got"):
        raft_loss(small_logits(), torch.tensor([1]), **{**SETTINGS, name: value})
