import math
import statistics

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.results.statistics import harmonic_mean, interval95, matched_differences, summarise

SCORES = st.lists(st.floats(0, 100), min_size=2, max_size=12)


def test_worked_by_hand() -> None:
    assert summarise([]) == type(summarise([]))(0, None, None, None)
    one = summarise([5.0])
    assert (one.count, one.mean, one.std, one.ci95) == (1, 5.0, None, None)
    two = summarise([1.0, 3.0])
    assert (two.count, two.mean) == (2, 2.0)
    assert two.spread("std") == pytest.approx(math.sqrt(2))
    assert two.spread("ci95") == pytest.approx(12.706205)  # one degree of freedom
    assert interval95([0.0] * 5 + [2.0] * 5) == pytest.approx(2.262157 * statistics.stdev([0, 2] * 5) / 10**0.5)
    assert harmonic_mean(82.69, 63.22) == pytest.approx(71.66, abs=0.005)  # CoOp's average in the CoCoOp paper
    assert harmonic_mean(0.0, 0.0) == harmonic_mean(0.0, 50.0) == 0.0
    with pytest.raises(ValueError, match=r"no harmonic mean of -1.0 and 50.0"):
        harmonic_mean(-1.0, 50.0)
    assert matched_differences({1: 5.0, 2: 6.0, 4: 0.0}, {2: 4.0, 1: 5.5, 3: 9.0}) == {1: -0.5, 2: 2.0}


@given(values=SCORES.filter(lambda values: statistics.pstdev(values) > 1e-3))
def test_as_scipy_has_it(values: list[float]) -> None:
    found = summarise(values)
    assert found.mean == pytest.approx(numpy.mean(values))
    assert found.std == pytest.approx(stats.tstd(values))
    low, high = stats.t.interval(0.95, len(values) - 1, loc=numpy.mean(values), scale=stats.sem(values))
    assert found.mean is not None and found.ci95 is not None
    assert (found.mean - found.ci95, found.mean + found.ci95) == pytest.approx((low, high), rel=1e-6, abs=1e-8)


@given(pairs=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=2, max_size=10))
def test_paired_interval_as_scipys_paired_t_test_has_it(pairs: list[tuple[float, float]]) -> None:
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    differences = list(matched_differences(dict(enumerate(first)), dict(enumerate(second))).values())
    found = summarise(differences)
    if statistics.pstdev(differences) < 1e-3:
        return
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert found.mean is not None and found.ci95 is not None
    assert found.mean - found.ci95 == pytest.approx(expected.low, rel=1e-6, abs=1e-6)
    assert found.mean + found.ci95 == pytest.approx(expected.high, rel=1e-6, abs=1e-6)


@given(base=st.floats(0.1, 100), new=st.floats(0.1, 100))
def test_harmonic_mean_as_scipy_has_it(base: float, new: float) -> None:
    assert harmonic_mean(base, new) == pytest.approx(stats.hmean([base, new]))


@given(values=SCORES, shift=st.floats(-50, 50))
def test_spread_does_not_depend_on_the_mean(values: list[float], shift: float) -> None:
    before, after = summarise(values), summarise([value + shift for value in values])
    for kind in ("std", "ci95"):
        moved = after.spread(kind)
        assert moved == pytest.approx(before.spread(kind), abs=1e-6)
        assert moved is not None and moved >= 0
