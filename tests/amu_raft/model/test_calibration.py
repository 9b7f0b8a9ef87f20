import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.model.calibration import (
    LIMITS,
    NOT_CALIBRATED,
    calibration_of,
    expected_error,
    fit_temperature,
)


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
    assert found.value == pytest.approx(LIMITS[1]) and f"limit {LIMITS[1]:.4g}" in found.note


@pytest.mark.parametrize("shape", [(0, 3), (2, 3), (3,)])
def test_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"logits \(N, C\) and labels \(N,\) with N >= 1"):
        fit_temperature(torch.zeros(shape), torch.zeros(0 if shape == (0, 3) else 3, dtype=torch.long))


def test_numbers_must_be_finite() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))


def test_a_calibration_says_what_it_changes() -> None:
    """Three of four right at a confidence of sigmoid(4): an error of 0.23 before, of nothing after."""
    logits, labels = torch.tensor([[4.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1])
    found = calibration_of(logits.half(), labels)
    sure = torch.tensor(4.0).sigmoid().item()
    assert found.temperature == fit_temperature(logits, labels).value
    assert (found.fitted_on, found.images, found.note) == ("validation", 4, "")
    assert found.before == pytest.approx(sure - 0.75) and found.after == pytest.approx(0, abs=1e-6)
    assert found.before == expected_error(logits, labels)
    assert found.line == (
        f"temperature {found.temperature:.3f} fitted on 4 validation images: calibration error 23.2% before, 0.0% after"
    )
    assert found.record() == {
        "temperature": found.temperature,
        "fitted_on": "validation",
        "images": 4,
        "ece_before": found.before,
        "ece_after": found.after,
        "note": "",
    }


def test_the_note_of_a_calibration_is_in_its_line_and_record() -> None:
    found = calibration_of(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    assert found.temperature == 1 and found.before == found.after
    assert found.line.endswith(f" ({found.note})") and found.record()["note"] == found.note
    assert found.note == "all 2 validation images are right: the temperature stays at 1"


def test_what_is_not_calibrated_has_no_errors() -> None:
    assert NOT_CALIBRATED.record() == {
        "temperature": 1.0,
        "fitted_on": None,
        "images": 0,
        "note": "no validation images of its own: the temperature stays at 1",
    }


def test_the_calibration_error_by_hand() -> None:
    # Two images of confidence 0.8, one of them right: |0.5 - 0.8|.
    logits = torch.tensor([[4.0, 1.0], [4.0, 1.0]]).log()
    assert expected_error(logits, torch.tensor([0, 1])) == pytest.approx(0.3)
