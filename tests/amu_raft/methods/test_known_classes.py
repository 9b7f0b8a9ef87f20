import json
from typing import Any

import pytest
import torch

from amu_raft.methods.known_classes import match_classes, read_known, write_known


@pytest.mark.parametrize(
    ("trained", "present", "labels", "rows"),
    [
        ("abcd", "abcd", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("abcd", "dbca", [0, 1, 2, 3], [3, 1, 2, 0]),
        ("abcd", "xdya", [1, 3], [3, 0]),
        ("abcd", "xyz", [], []),
        ("aba", "aab", [0, 1, 2], [0, 2, 1]),  # the second "a" of one is the second of the other
        ("ab", "aaa", [0], [0]),
        ("aa", "a", [0], [0]),
    ],
)
def test_classes_are_matched_by_key(trained: str, present: str, labels: list[int], rows: list[int]) -> None:
    known = match_classes(trained, present)
    assert (known.labels.tolist(), known.rows.tolist(), known.num_classes) == (labels, rows, len(present))
    assert known.labels.dtype == known.rows.dtype == torch.long


def test_logits_go_to_the_places_of_their_classes() -> None:
    known = match_classes(["a", "b", "c"], ["x", "c", "a"])
    of_adapter = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert known.pick(of_adapter).tolist() == [[3.0, 1.0], [6.0, 4.0]]
    assert known.spread(known.pick(of_adapter)).tolist() == [[0.0, 3.0, 1.0], [0.0, 6.0, 4.0]]
    nothing = match_classes(["a"], ["x", "y"])
    assert nothing.pick(of_adapter).shape == (2, 0)
    assert nothing.spread(nothing.pick(of_adapter)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(("trained", "present"), [("abcd", "xdya"), ("ab", "xy"), ("aba", "aab")])
def test_known_classes_are_kept_as_plain_lists(trained: str, present: str) -> None:
    known = match_classes(trained, present)
    written = json.loads(json.dumps(write_known(known)))
    found = read_known(written, num_rows=len(trained), num_classes=len(present))
    assert found is not None and torch.equal(found.labels, known.labels) and torch.equal(found.rows, known.rows)
    assert found.num_classes == len(present)


def test_the_classes_of_training_are_nothing_to_keep() -> None:
    assert write_known(None) is None
    assert read_known(None, num_rows=3, num_classes=3) is None
    with pytest.raises(ValueError, match="the model has 4 rows for 3 classes"):
        read_known(None, num_rows=4, num_classes=3)


@pytest.mark.parametrize(
    "written",
    [
        5,
        "ab",
        [],
        [[0]],
        [[0], [0], [0]],
        [[0], ["a"]],
        [[0], [[0], [1, 2]]],
        [[0.7], [0]],
        [[True], [0]],
        [0, 0],
        [[[0]], [[0]]],
    ],
)
def test_what_are_no_two_lists(written: Any) -> None:
    with pytest.raises(ValueError, match='"known" must be null or two lists of whole numbers, got') as caught:
        read_known(written, num_rows=3, num_classes=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "written", [[[2], [0]], [[0], [3]], [[-1], [0]], [[0], [-1]], [[0, 1], [0]], [[0], [2**70]], [[-(2**70)], [0]]]
)
def test_lists_that_lead_outside(written: Any) -> None:
    with pytest.raises(ValueError, match='"known" does not match 3 rows of the model to 2 classes'):
        read_known(written, num_rows=3, num_classes=2)
