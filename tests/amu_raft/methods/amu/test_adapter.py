import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.methods.amu.adapter import INITIALIZATIONS, Adapter, average_views, initial_weight

FEATURES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
UNBALANCED = torch.tensor([0, 0, 0, 2])


def test_class_means_by_hand() -> None:
    expected = torch.tensor([[1.6 / 3, 1.8 / 3], [0.0, 0.0], [0.8, 0.6]])
    torch.testing.assert_close(initial_weight(FEATURES, UNBALANCED, 3), expected)


def test_released_divides_every_class_sum_by_images_per_class() -> None:
    expected = torch.tensor([[1.6, 1.8], [0.0, 0.0], [0.8, 0.6]]) / (4 / 3)
    torch.testing.assert_close(initial_weight(FEATURES, UNBALANCED, 3, how="released"), expected)


@given(shots=st.integers(1, 5), classes=st.integers(2, 6), seed=st.integers(0, 9))
def test_both_forms_agree_when_balanced(shots: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(shots * classes, 7, generator=generator)
    labels = torch.arange(classes).repeat(shots)[torch.randperm(shots * classes, generator=generator)]
    mean, released = (initial_weight(features, labels, classes, how=how) for how in ("class_mean", "released"))
    torch.testing.assert_close(mean, released)
    torch.testing.assert_close(mean[1], features[labels == 1].mean(dim=0))


def test_random_is_uniform_bounded_and_from_the_generator() -> None:
    draws = [
        initial_weight(torch.randn(4, 400), UNBALANCED, 50, how="random", generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    bound = 1 / math.sqrt(400)
    assert draws[0].shape == (50, 400) and float(draws[0].abs().max()) <= bound
    assert float(draws[0].std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    state = torch.get_rng_state()
    initial_weight(FEATURES, UNBALANCED, 3, how="random", generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("how", INITIALIZATIONS)
def test_dtype_shape_and_untouched_arguments(how: str) -> None:
    features, labels = FEATURES.half(), UNBALANCED.int()
    before = features.clone(), labels.clone()
    found = initial_weight(features, labels, 5, how=how, generator=torch.Generator().manual_seed(0))
    assert found.shape == (5, 2) and found.dtype == torch.float32
    assert torch.equal(features, before[0]) and torch.equal(labels, before[1])


def test_bad_arguments() -> None:
    with pytest.raises(
        ValueError, match="unknown adapter initialisation 'mean'; choose from class_mean, released, random"
    ):
        initial_weight(FEATURES, UNBALANCED, 3, how="mean")
    with pytest.raises(ValueError, match=r"do not match: \(4, 2\), \(3,\)"):
        initial_weight(FEATURES, UNBALANCED[:3], 3)
    with pytest.raises(ValueError, match=r"do not match: \(1, 4, 2\)"):
        initial_weight(FEATURES[None], UNBALANCED, 3)
    for labels in (torch.tensor([0, 0, 0, 3]), torch.tensor([0, -1, 0, 1])):
        with pytest.raises(ValueError, match=r"lie in 0\.\.2"):
            initial_weight(FEATURES, labels, 3)
    with pytest.raises(ValueError, match="must be present"):
        initial_weight(FEATURES[:0], UNBALANCED[:0], 3)


def test_adapter_is_linear_without_bias_and_copies_its_weight() -> None:
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    adapter = Adapter(weight)
    weight.zero_()
    assert adapter(torch.tensor([[1.0, 10.0]])).tolist() == [[21.0, 43.0, 65.0]]
    assert list(adapter.state_dict()) == ["fc.weight"]
    assert adapter.half()(torch.tensor([[1.0, 10.0]])).dtype == torch.float16


def test_average_views_by_hand() -> None:
    raw = torch.tensor([[[3.0, 0.0], [1.0, 1.0]], [[3.0, 8.0], [-1.0, -1.0]]])  # means (3, 4) and (0, 0)
    torch.testing.assert_close(average_views(raw), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    assert average_views(raw.half()).dtype == torch.float32
