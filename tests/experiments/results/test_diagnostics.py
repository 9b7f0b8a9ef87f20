import numpy as np
import pytest

from experiments.results.diagnostics import complementarity


def test_worked_by_hand() -> None:
    # cosines 1, 0, -1 and 3/5
    first = [[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [3.0, 4.0]]
    second = [[5.0, 0.0], [0.0, 3.0], [-2.0, -2.0], [1.0, 0.0]]
    assert complementarity(first, second) == pytest.approx((0 + 1 + 2 + 0.4) / 4)


def test_an_offset_hides_what_centring_shows() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20, 5))
    centred = logits - logits.mean(axis=1, keepdims=True)
    assert complementarity(logits + 1000, centred) == pytest.approx(1.0, abs=0.01)
    assert complementarity(logits + 1000, centred, centred=True) == pytest.approx(0.0, abs=1e-9)
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in zip(logits, logits[::-1], strict=True)]
    assert complementarity(logits, logits[::-1], centred=True) == pytest.approx(1 - np.mean(correlation))


def test_neither_scale_nor_the_arguments_change() -> None:
    first, second = np.array([[1.0, 2.0, 3.0]]), np.array([[2.0, 0.0, 1.0]])
    kept = first.copy()
    assert complementarity(first, second) == pytest.approx(complementarity(100 * first, 0.1 * second))
    complementarity(first, second, centred=True)
    assert (first == kept).all()


@pytest.mark.parametrize("centred", [False, True])
def test_a_row_without_direction_counts_as_orthogonal(centred: bool) -> None:
    constant = [[0.0, 0.0, 0.0]] if not centred else [[0.1, 0.1, 0.1]]
    assert complementarity(constant, [[1.0, 2.0, 4.0]], centred=centred) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]], r"\(1, 2\) and \(2, 2\)"),
        ([1.0, 2.0], [1.0, 2.0], r"must be \(N, C\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"must be \(N, C\)"),
        ([[1.0, float("nan")]], [[1.0, 2.0]], "not finite"),
    ],
)
def test_what_is_refused(first: object, second: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        complementarity(first, second)  # type: ignore[arg-type]
