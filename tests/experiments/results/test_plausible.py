import math

import pytest

from experiments.results.plausible import implausible


def test_what_is_believed() -> None:
    assert implausible({"accuracy": 0}) == implausible({"accuracy": 100.0, "macro_f1": 0.0}) == ""
    assert implausible({"accuracy": 66.7, "total": 3, "correct": 2}) == ""  # logs round to one decimal
    assert implausible({"accuracy": 50.0, "total": 10}) == ""


@pytest.mark.parametrize(
    ("scores", "problem"),
    [
        ({"accuracy": 100.1}, "accuracy is 100.1, not a percentage"),
        ({"accuracy": -0.1}, "accuracy is -0.1, not a percentage"),
        ({"accuracy": math.nan}, "accuracy is nan, no finite number"),
        ({"accuracy": math.inf}, "accuracy is inf, no finite number"),
        ({"accuracy": "90"}, "accuracy is '90', no number"),
        ({"accuracy": True}, "accuracy is True, no number"),
        ({"accuracy": None}, "accuracy is None, no number"),
        ({"accuracy": 50.0, "macro_f1": 1e9}, "macro_f1 is 1000000000.0"),
        ({"accuracy": 50.0, "total": 0, "correct": 0}, "evaluated on 0 images"),
        ({"accuracy": 50.0, "total": -1}, "evaluated on -1 images"),
        ({"accuracy": 50.0, "total": 10, "correct": 6}, "accuracy 50 does not fit 6 correct of 10"),
    ],
)
def test_what_is_not_believed(scores: dict[str, object], problem: str) -> None:
    assert problem in implausible(scores)
