import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.model.reliability import reliability


def test_worked_by_hand() -> None:
    # two bins: 0.4 wrong, 0.5 right (a bin holds its upper limit); 0.9 right, 0.7 wrong, 1.0 right
    found = reliability([0.4, 0.5, 0.9, 0.7, 1.0], [False, True, True, False, True], num_bins=2)
    assert found.edges.tolist() == [0.0, 0.5, 1.0] and found.count.tolist() == [2, 3]
    assert found.confidence == pytest.approx([0.45, 2.6 / 3]) and found.accuracy == pytest.approx([0.5, 2 / 3])
    assert found.ece == pytest.approx((2 * 0.05 + 3 * 0.2) / 5)


def test_fifteen_bins_unless_said_otherwise() -> None:
    found = reliability([0.0, 1.0, 1.00005], [0, 1, 1])  # half precision ends a little above 1
    assert len(found.edges) == 16 and found.count.tolist() == [1] + [0] * 13 + [2]
    assert found.ece == pytest.approx(2 * 0.000025 / 3)
    assert np.isnan(found.accuracy[1:14]).all() and np.isnan(found.confidence[1:14]).all()


def test_perfect_and_worst() -> None:
    assert reliability([1.0, 1.0], [True, True]).ece == 0.0
    assert reliability([1.0, 1.0], [False, False]).ece == 1.0


def test_no_images_have_no_error() -> None:
    found = reliability([], [])
    assert math.isnan(found.ece) and found.count.sum() == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_one_bin_is_the_gap_of_the_means_and_more_bins_never_less(pairs: list[tuple[float, bool]]) -> None:
    confidence, correct = zip(*pairs, strict=True)
    coarse = abs(sum(confidence) - sum(correct)) / len(pairs)
    assert reliability(confidence, correct, 1).ece == pytest.approx(coarse, abs=1e-12)
    assert coarse - 1e-12 <= reliability(confidence, correct).ece <= 1


@pytest.mark.parametrize(
    ("confidence", "correct", "bins", "message"),
    [
        ([0.5], [True, False], 15, r"\(1,\) and \(2,\)"),
        ([[0.5]], [[True]], 15, r"must be \(N,\)"),
        ([0.5], [True], 0, "at least 1 bin is wanted, got 0"),
        ([0.5, 1.01], [True, True], 15, "must lie in .0, 1., got 1.01"),
        ([-0.1], [True], 15, "got -0.1"),
        ([float("nan")], [True], 15, "got nan"),
    ],
)
def test_what_is_refused(confidence: list[float], correct: list[bool], bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(confidence, correct, bins)
