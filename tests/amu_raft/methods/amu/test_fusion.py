import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from amu_raft.backbones.text_classifier import zero_shot_logits
from amu_raft.methods.amu.adapter import Adapter
from amu_raft.methods.amu.fusion import (
    UNCERTAINTY_KINDS,
    amu_logits,
    fuse_logits,
    standardize_logits,
    uncertainty_weight,
)
from amu_raft.methods.known_classes import KnownClasses, match_classes

GOLDEN = Path(__file__).parents[3] / "data" / "golden"
KINDS = sorted(UNCERTAINTY_KINDS)
FINITE_ROWS = st.lists(st.floats(-200, 200, width=32), min_size=5, max_size=12)


def weight(rows: list[list[float]], kind: str, power: float = 1.0) -> list[float]:
    return uncertainty_weight(torch.tensor(rows), kind=kind, power=power).flatten().tolist()


def logits_of(probabilities: list[float]) -> list[float]:
    return [math.log(p) for p in probabilities]


def softmax_of_one(others: int) -> list[float]:
    """Logits whose softmax is 1 for one class and exactly 0 for the others."""
    return [1000.0] + [0.0] * others


# ------------------------------------------------------------------------------------------------- standardise


def test_standardise_by_hand() -> None:
    rows = torch.tensor([[1.0, 2.0, 3.0], [0.0, 10.0, 5.0]])
    expected = torch.tensor([[-1.0, 0.0, 1.0], [-1.0, 1.0, 0.0]])
    torch.testing.assert_close(standardize_logits(rows), expected)


@given(row=FINITE_ROWS, scale=st.floats(0.1, 10), shift=st.floats(-10, 10))
def test_standardised_rows_forget_scale_and_shift(row: list[float], scale: float, shift: float) -> None:
    logits = torch.tensor([row])
    if float(logits.std()) < 1e-2:
        return
    found = standardize_logits(logits)
    assert float(found.mean().abs()) < 1e-3 and float(found.std()) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(standardize_logits(logits * scale + shift), found, atol=2e-2, rtol=1e-2)


def test_rows_of_zeros_stay_zeros() -> None:
    assert standardize_logits(torch.zeros(2, 7)).tolist() == [[0.0] * 7] * 2


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_constant_rows_become_zeros(rows: int) -> None:
    for value, classes in ((0.1, 10), (0.1, 15), (1000.1, 1000), (-7.7, 3)):
        found = standardize_logits(torch.full((rows, classes), value))
        assert float(found.abs().max()) < 1e-3, (value, classes)


def test_standardise_leaves_its_argument_and_gives_float32() -> None:
    logits = torch.randn(4, 6).half()
    before = logits.clone()
    assert standardize_logits(logits).dtype == torch.float32
    assert torch.equal(logits, before)


@pytest.mark.parametrize("shape", [(3, 1), (4,), (2, 3, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(N, C) with C >= 2, got {shape}")):
        standardize_logits(torch.zeros(shape))
    with pytest.raises(ValueError, match=re.escape(f"(N, C) with C >= 2, got {shape}")):
        uncertainty_weight(torch.zeros(shape), kind="max", power=1)


# ------------------------------------------------------------------------------------------ uncertainty by hand


def test_kurtosis_by_hand() -> None:
    # One of five differs: with p = 1/5 the kurtosis is (1 - 3pq) / pq = 0.52 / 0.16.
    assert weight([[7.0, 0, 0, 0, 0]], "kurtosis") == pytest.approx([0.16 / 0.52])
    assert weight([[7.0, 0, 0, 0, 0]], "kurtosis", 2) == pytest.approx([(0.16 / 0.52) ** 2])
    assert weight([[1.0, -1.0], [3.0, 3.0]], "kurtosis") == [1.0, 1.0]


def test_moment_by_hand() -> None:
    # p = (1, 0, 0, 0, 0): unbiased variance 1/5, so the mean fourth power is (0.8^4 + 4 * 0.2^4) * 25 / 5 = 2.08.
    assert weight([softmax_of_one(4)], "moment") == pytest.approx([250 / 2.08])
    assert weight([softmax_of_one(4)], "moment", 0.5) == pytest.approx([(250 / 2.08) ** 0.5])


def test_entropy_by_hand() -> None:
    assert weight([[2.0] * 8, softmax_of_one(7)], "entropy", 0.4) == pytest.approx([math.exp(0.4), 1.0])
    half = [0.5, 0.5, 1e-30, 1e-30]  # one bit of two
    assert weight([logits_of(half)], "entropy", 1.0) == pytest.approx([math.exp(0.5)])


def test_energy_by_hand() -> None:
    uniform = 2 * (math.log(4) + 0.25)
    certain = 2 * (math.log(1 + 3 * math.exp(-0.5)) + 1)
    assert weight([[0.0] * 4, softmax_of_one(3)], "energy", 0.4) == pytest.approx([uniform**-0.4, certain**-0.4])


def test_gaps_by_hand() -> None:
    row = logits_of([0.3, 0.25, 0.2, 0.15, 0.06, 0.04])
    assert weight([row], "max", 2) == pytest.approx([1 / 0.09])
    assert weight([row], "max-min") == pytest.approx([1 / 0.26])
    assert weight([row], "top5") == pytest.approx([1 / 0.24], rel=1e-5)


def test_var_and_none_by_hand() -> None:
    row = logits_of([0.5, 0.3, 0.2])
    expected = np.std([0.5, 0.3, 0.2], ddof=1)
    for power in (0.0, 0.4, 3.0):
        assert weight([row], "var", power) == pytest.approx([expected])
        assert weight([row, row], "none", power) == [1.0, 1.0]


# ----------------------------------------------------------------------------------------- uncertainty, properties

NASTY = {
    "equal rows": torch.full((2, 6), 3.3),
    "zeros": torch.zeros(2, 6),
    "certain": torch.tensor([softmax_of_one(5), softmax_of_one(5)]),
    "extreme": torch.tensor([[1e30, -1e30, 0.0, 1.0, 2.0, 3.0], [1e30] * 6]),
    "denormal": torch.tensor([[1e-40, 0, 0, 0, 0, 0], [-1e-40, 0, 0, 1e-40, 0, 0]]),
    "nearly equal": torch.tensor([[100.0, 100.00001, 100, 100, 100, 100], [0, 1e-7, 0, 0, 0, 0]]),
    "half precision": torch.tensor([[6e4, -6e4, 0, 0, 0, 1], [1, 2, 3, 4, 5, 6]]).half(),
    "many classes": torch.randn(2, 5000, generator=torch.Generator().manual_seed(0)) * 40,
}


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0, 50.0, 1e6, 1e30])
@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_finite_everywhere(kind: str, name: str, power: float) -> None:
    found = uncertainty_weight(NASTY[name], kind=kind, power=power)
    assert found.shape == (2, 1) and found.dtype == torch.float32
    assert torch.isfinite(found).all() and (found >= 0).all()


def test_kurtosis_of_the_largest_floats_is_finite() -> None:
    assert torch.isfinite(uncertainty_weight(torch.full((1, 6), 3e38), kind="kurtosis", power=1)).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "top5"])
def test_two_classes(kind: str) -> None:
    rows = torch.tensor([[0.0, 0.0], [3.0, -3.0], [1e4, 0.0], [5.0, 5.0]])
    assert torch.isfinite(uncertainty_weight(rows, kind=kind, power=0.4)).all()


@given(row=FINITE_ROWS, power=st.floats(0, 3))
def test_kurtosis_lies_between_0_and_1(row: list[float], power: float) -> None:
    [found] = weight([row], "kurtosis", power)
    assert 0 < found <= 1


@given(row=FINITE_ROWS, power=st.sampled_from([0.2, 0.4, 1.0]), kind=st.sampled_from(KINDS))
def test_the_order_of_classes_does_not_matter(row: list[float], power: float, kind: str) -> None:
    assert weight([row[::-1]], kind, power) == pytest.approx(weight([row], kind, power), rel=2e-3)


@given(
    row=st.lists(st.integers(-30, 30), min_size=5, max_size=9), shift=st.integers(-50, 50), kind=st.sampled_from(KINDS)
)
def test_a_shift_of_all_logits_does_not_matter(row: list[int], shift: int, kind: str) -> None:
    moved = weight([[float(value + shift) for value in row]], kind, 0.4)
    assert moved == pytest.approx(weight([[float(value) for value in row]], kind, 0.4), rel=2e-3)


@given(row=st.lists(st.integers(-30, 30), min_size=2, max_size=9), scale=st.floats(0.5, 1e6))
def test_kurtosis_forgets_the_scale(row: list[int], scale: float) -> None:
    plain = [float(value) for value in row]
    assert weight([[value * scale for value in plain]], "kurtosis") == pytest.approx(
        weight([plain], "kurtosis"), rel=1e-3
    )


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"var", "none"}))
def test_power_zero_switches_the_weight_off(kind: str) -> None:
    assert weight([[1.0, 2, 3, 4, 9]], kind, 0.0) == [1.0]


@pytest.mark.parametrize("kind", ["entropy", "kurtosis", "max", "max-min", "top5"])
def test_the_undecided_image_weighs_more(kind: str) -> None:
    undecided, decided = weight([[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [1.0, 1, 1, 1, 1.1, 30]], kind, 0.4)
    assert undecided > decided


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_and_no_change_to_the_argument(kind: str) -> None:
    logits = torch.randn(3, 6, requires_grad=True)
    before = logits.detach().clone()
    assert not uncertainty_weight(logits, kind=kind, power=0.4).requires_grad
    assert torch.equal(logits.detach(), before)


def test_bad_kind_power_and_too_few_classes() -> None:
    logits = torch.zeros(1, 4)
    with pytest.raises(ValueError, match=r"unknown uncertainty kind 'kurt'; choose from kurtosis, moment, .*none"):
        uncertainty_weight(logits, kind="kurt", power=1)
    for power in (-0.1, math.nan):
        with pytest.raises(ValueError, match=f"power must be >= 0 and finite, got {power}"):
            uncertainty_weight(logits, kind="max", power=power)
    with pytest.raises(ValueError, match="'top5' needs at least 5 classes, got 4"):
        uncertainty_weight(logits, kind="top5", power=1)


def test_equal_to_the_recorded_numbers_where_those_are_finite() -> None:
    manifest = json.loads((GOLDEN / "manifest.json").read_text())["files"]["amu_units.npz"]["keys"]
    archive = np.load(GOLDEN / "amu_units.npz")
    compared = 0
    for key in manifest:
        if match := re.fullmatch(r"(uncertainty(?:_edge)?)/([^/]+)/p([\d.]+)", key):
            group, kind, power = match.groups()
            logits, expected = torch.from_numpy(archive[f"{group}/logits"]), np.atleast_1d(archive[key])
            found = uncertainty_weight(logits, kind=kind, power=float(power)).numpy()
            assert np.isfinite(found).all(), key
            expected = np.broadcast_to(expected, found.shape) if expected.ndim == 1 else expected
            finite = np.isfinite(expected)
            np.testing.assert_allclose(
                found[: len(expected)][finite], expected[finite], rtol=1e-5, atol=1e-6, err_msg=key
            )
            compared += 1
    assert compared == 32


# ----------------------------------------------------------------------------------------------------------- fusion


def test_fuse_by_hand() -> None:
    zero_shot, aux = torch.tensor([[7.0, 0, 0, 0, 0]]), torch.tensor([[0.0, 1, 2, 3, 4]])
    assert torch.equal(fuse_logits(zero_shot, aux, fusion_alpha=2.0), torch.tensor([[7.0, 2, 4, 6, 8]]))
    weighted = fuse_logits(zero_shot, aux, fusion_alpha=2.0, kind="kurtosis", power=1.0)
    torch.testing.assert_close(weighted, zero_shot + 2 * (0.16 / 0.52) * aux)


def test_gradient_reaches_both_logits_but_not_the_weight() -> None:
    zero_shot, aux = torch.randn(3, 6, requires_grad=True), torch.randn(3, 6, requires_grad=True)
    u = uncertainty_weight(zero_shot, kind="kurtosis", power=0.4)
    fuse_logits(zero_shot, aux, fusion_alpha=0.5, kind="kurtosis", power=0.4).sum().backward()
    torch.testing.assert_close(zero_shot.grad, torch.ones(3, 6))  # the weight would add a second term
    torch.testing.assert_close(aux.grad, (0.5 * u).expand(3, 6))


def fuse(
    adapter: nn.Module,
    clip: Tensor,
    aux: Tensor,
    text: Tensor,
    *,
    standardize: bool = True,
    kind: str = "none",
    known: KnownClasses | None = None,
) -> tuple[Tensor, ...]:
    return amu_logits(
        clip,
        aux,
        text,
        adapter,
        logit_scale=50.0,
        fusion_alpha=0.5,
        kind=kind,
        power=0.4,
        standardize=standardize,
        known=known,
    )


def test_amu_by_hand() -> None:
    adapter = Adapter(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    clip, aux = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])
    text = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]])
    zero_shot, raw, fused = fuse(adapter, clip, aux, text, standardize=False)
    torch.testing.assert_close(zero_shot, torch.tensor([[30.0, 40.0, 50.0]]))
    torch.testing.assert_close(raw, torch.tensor([[0.0, 1.0, 0.0]]))
    torch.testing.assert_close(fused, torch.tensor([[30.0, 40.5, 50.0]]))
    standard = torch.tensor([[-1.0, 2.0, -1.0]]) / math.sqrt(3)
    torch.testing.assert_close(fuse(adapter, clip, aux, text)[1], standard)


@given(clip_length=st.floats(1e-3, 1e3), aux_length=st.floats(1e-3, 1e3))
def test_lengths_of_features_do_not_matter_and_nothing_is_changed(clip_length: float, aux_length: float) -> None:
    generator = torch.Generator().manual_seed(3)
    clip, aux, text, start = (torch.randn(4, 5, generator=generator) for _ in range(4))
    adapter, text = Adapter(start), text.t().contiguous()
    inputs = [clip, aux, text, adapter.fc.weight]
    before = [value.detach().clone() for value in inputs]
    reference = fuse(adapter, clip, aux, text)
    for found, expected in zip(fuse(adapter, clip * clip_length, aux * aux_length, text), reference, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert all(torch.equal(now, then) for now, then in zip(inputs, before, strict=True))


def test_amu_uses_clips_own_logits() -> None:
    clip, aux, text = torch.randn(4, 8), torch.randn(4, 3), torch.randn(8, 5)
    zero_shot, _, fused = fuse(Adapter(torch.zeros(5, 3)), clip, aux, text)
    assert torch.equal(zero_shot, zero_shot_logits(clip, text, logit_scale=50.0))
    assert torch.equal(fused, zero_shot)  # an empty adapter adds nothing


# ---------------------------------------------------------------------------------------------------- other classes

TRAINED = ["a", "b", "c", "d"]


def test_bias_of_known_classes_by_hand() -> None:
    adapter = Adapter(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [9.0, 9.0]]))
    clip, aux = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])  # raw logits 0, 1, 0.8, 9 of a, b, c, d
    text = torch.tensor([[1.0, 0.0, 0.6, 0.8], [0.0, 1.0, 0.8, 0.6]])
    known = match_classes(TRAINED, ["c", "x", "a", "b"])
    zero_shot, raw, fused = fuse(adapter, clip, aux, text, standardize=False, known=known)
    torch.testing.assert_close(raw, torch.tensor([[0.8, 0.0, 0.0, 1.0]]))
    torch.testing.assert_close(fused, zero_shot + torch.tensor([[0.4, 0.0, 0.0, 0.5]]))
    standard = fuse(adapter, clip, aux, text, known=known)[1]
    std = math.sqrt((0.2**2 + 0.6**2 + 0.4**2) / 2)  # of 0.8, 0, 1 about 0.6: neither d nor x counts
    torch.testing.assert_close(standard, torch.tensor([[0.2 / std, 0.0, -0.6 / std, 0.4 / std]]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("standardize", [True, False])
def test_no_known_class_is_zero_shot_to_the_bit(kind: str, standardize: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    clip, aux, text, weight = (torch.randn(size, generator=generator) for size in ((4, 8), (4, 3), (8, 5), (4, 3)))
    known = match_classes(TRAINED, ["v", "w", "x", "y", "z"])
    zero_shot, bias, fused = fuse(Adapter(weight), clip, aux, text, standardize=standardize, kind=kind, known=known)
    assert torch.equal(fused, zero_shot) and torch.equal(bias, torch.zeros(4, 5))
    assert torch.equal(zero_shot, zero_shot_logits(clip, text, logit_scale=50.0))


def test_the_order_of_the_same_classes_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(2)
    clip, aux, text, weight = (torch.randn(size, generator=generator) for size in ((4, 8), (4, 3), (8, 4), (4, 3)))
    order = [2, 0, 3, 1]
    known = match_classes(TRAINED, [TRAINED[row] for row in order])
    plain = fuse(Adapter(weight), clip, aux, text)
    for found, expected in zip(fuse(Adapter(weight), clip, aux, text[:, order], known=known), plain, strict=True):
        torch.testing.assert_close(found, expected[:, order])


def test_a_single_known_class_stands_out_from_nothing() -> None:
    clip, aux, text = torch.randn(4, 8), torch.randn(4, 3), torch.randn(8, 3)
    adapter, known = Adapter(torch.ones(4, 3)), match_classes(TRAINED, ["x", "c", "y"])
    zero_shot, _, fused = fuse(adapter, clip, aux, text, known=known)
    assert torch.equal(fused, zero_shot)
    raw = fuse(adapter, clip, aux, text, standardize=False, known=known)[1]
    assert torch.equal(raw[:, [0, 2]], torch.zeros(4, 2)) and float(raw[:, 1].detach().abs().min()) > 0
