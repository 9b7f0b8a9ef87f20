from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.images.division import describe_division, divide, divided_parts, too_small
from amu_raft.images.listing import Listing

ANY_COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=4)


def images(count: int) -> list[Path]:
    return [Path(f"{index:02d}.jpg") for index in range(count)]


@given(counts=ANY_COUNTS, with_val=st.booleans())
def test_every_class_of_two_or_more_gets_train_and_test(counts: list[int], with_val: bool) -> None:
    classes = {f"class{label}": images(count) for label, count in enumerate(counts)}
    parts = divide(classes, with_val=with_val)
    assert ("val" in parts) is with_val
    for name, whole in classes.items():
        assert sorted(path for part in parts.values() for path in part[name]) == whole
        count = len(whole)
        assert len(parts["train"][name]) == max(1, count // 2 + (0 if with_val else count // 5))
        assert len(parts["test"][name]) >= 1 or count == 1


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 0, 2)), (4, (2, 0, 2)), (5, (2, 1, 2)), (10, (5, 2, 3))],
)
def test_small_classes(count: int, sizes: tuple[int, int, int]) -> None:
    parts = divide({"owl": images(count)})
    assert tuple(len(parts[name]["owl"]) for name in ("train", "val", "test")) == sizes


def test_the_owners_parts_stay() -> None:
    train = {"a": images(3), "b": images(2)}
    listing = Listing("list", {"train": train, "test": {"b": images(1)}})
    assert divided_parts(listing) == {"train": train, "val": {}, "test": {"b": [Path("00.jpg")]}}
    assert describe_division(listing) == "" and too_small(listing) == ""


def test_what_is_divided_is_said() -> None:
    train = {"a": images(3), "b": images(1)}
    assert describe_division(Listing("", {"all": train})).startswith("divided per class")
    assert describe_division(Listing("", {"train": train, "val": train})).startswith("no test images: 30 %")
    assert too_small(Listing("", {"train": train})) == "one image only, so none to test with: 'b'"


def test_parts_that_are_lacking_are_taken_from_the_others() -> None:
    undivided = divided_parts(Listing("", {"all": {"a": images(10)}}))
    assert {part: len(classes["a"]) for part, classes in undivided.items()} == {"train": 5, "val": 2, "test": 3}
    val = {"a": [Path("val.jpg")]}
    parts = divided_parts(Listing("", {"train": {"a": images(10)}, "val": val}))
    assert list(parts) == ["train", "val", "test"] and parts["val"] == val
    assert (len(parts["train"]["a"]), len(parts["test"]["a"])) == (7, 3)
