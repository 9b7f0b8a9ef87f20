from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dassl.data.datasets import Datum
from datasets.subsampling import subsample_classes


def test_base_is_the_larger_half_and_new_the_rest(items: list[Datum], capsys: pytest.CaptureFixture[str]) -> None:
    [base] = subsample_classes(items, subsample="base")
    [new] = subsample_classes(items, subsample="new")
    assert {(item.classname, item.label) for item in base} == {("ash", 0), ("birch", 1), ("cedar", 2)}
    assert {(item.classname, item.label) for item in new} == {("dogwood", 0), ("elm", 1)}
    assert capsys.readouterr().out == "SUBSAMPLE BASE CLASSES!\nSUBSAMPLE NEW CLASSES!\n"


def test_all_returns_the_arguments_themselves(items: list[Datum]) -> None:
    first, second = subsample_classes(items, items[:3], subsample="all")
    assert first is items and len(second) == 3


def test_labels_come_from_the_first_list_and_order_stays(items: list[Datum]) -> None:
    only = [item for item in items if item.label in (1, 4)]
    train, test = subsample_classes(only, items, subsample="new")
    assert [item.impath for item in test] == [item.impath for item in items if item.label == 4]
    assert {item.label for item in train} == {0}
    assert {item.domain for item in train} == {0} and {item.domain for item in items} == {2}


def test_other_choices_are_refused(items: list[Datum]) -> None:
    with pytest.raises(AssertionError, match="'half'; accepted are all, base, new"):
        subsample_classes(items, subsample="half")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(st.integers(0, 9), min_size=2, max_size=20))
def test_base_and_new_divide_the_items(labels: list[int], tmp_path: Path) -> None:
    image = tmp_path / "x.jpg"
    image.touch()
    data = [Datum(impath=str(image), label=label, classname=f"n{label}") for label in labels]
    [base] = subsample_classes(data, subsample="base")
    [new] = subsample_classes(data, subsample="new")
    assert sorted(item.classname for item in [*base, *new]) == sorted(item.classname for item in data)
    for part in (base, new):
        kept = sorted({(item.label, item.classname) for item in part})
        assert [label for label, _ in kept] == list(range(len(kept)))
    assert len({item.label for item in base}) - len({item.label for item in new}) in (0, 1)
