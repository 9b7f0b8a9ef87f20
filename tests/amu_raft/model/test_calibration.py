import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.model.calibration import LIMITS, fit_temperature


def test_by_hand() -> None:
    # Two classes, one logit apart by 4; right in 3 of 4 images: sigmoid(4 / T) must be 3/4, so 4 / T = log 3.
    logits = torch.tensor([[4.0, 0.0]] * 4)
    found = fit_temperature(logits, torch.tensor([0, 0, 0, 1]))
    assert found.value == pytest.approx(4 / torch.tensor(3.0).log().item(), rel=1e-6)
    assert found.note == ""


@given(seed=st.integers(0, 1000), classes=st.integers(2, 12), factor=st.sampled_from([0.3, 1.0, 5.0]))
def test_no_other_temperature_is_better_on_its_images(seed: int, classes: int, factor: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(60, classes, generator=generator, dtype=torch.float64) * factor
    labels = torch.distributions.Categorical(logits=logits / factor).sample()
    found = fit_temperature(logits, labels)
    assert LIMITS[0] <= found.value <= LIMITS[1]
    if (logits.argmax(dim=1) == labels).all():
        assert found.value == 1
        return
    best = F.cross_entropy(logits / found.value, labels)
    for other in (LIMITS[0], found.value * 0.97, found.value * 1.03, LIMITS[1]):
        if LIMITS[0] <= other <= LIMITS[1]:
            assert best <= F.cross_entropy(logits / other, labels) + 1e-9


def test_the_temperature_undoes_a_factor() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(400, 5, generator=generator)
    labels = (logits + torch.randn(400, 5, generator=generator)).argmax(dim=1)
    plain, sharp = fit_temperature(logits, labels).value, fit_temperature(7 * logits, labels).value
    assert sharp == pytest.approx(7 * plain, rel=1e-5)


def test_nothing_is_learned_where_all_are_right() -> None:
    found = fit_temperature(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    assert found.value == 1 and "all 2 validation images are right" in found.note


def test_a_model_that_is_always_wrong_stops_at_the_limit() -> None:
    found = fit_temperature(torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.tensor([1, 0]))
    assert found.value == pytest.approx(LIMITS[1]) and "limit 20" in found.note


@pytest.mark.parametrize("shape", [(0, 3), (2, 3), (3,)])
def test_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"logits \(N, C\) and labels \(N,\) with N >= 1"):
        fit_temperature(torch.zeros(shape), torch.zeros(0 if shape == (0, 3) else 3, dtype=torch.long))


def test_numbers_must_be_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
