from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.images.division import describe_division, divide, make_split, too_small
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
    listing = Listing("list", {"train": {"a": images(3), "b": images(2)}, "test": {"b": images(1)}})
    split = make_split(listing, ["an a", "a b"])
    assert [(item.impath, item.label, item.classname) for item in split.test] == [("00.jpg", 1, "a b")]
    assert len(split.train) == 5 and split.val == []
    assert describe_division(listing) == "" and too_small(listing) == ""


def test_what_is_divided_is_said() -> None:
    train = {"a": images(3), "b": images(1)}
    assert describe_division(Listing("", {"all": train})).startswith("divided per class")
    assert describe_division(Listing("", {"train": train, "val": train})).startswith("no test images: 30 %")
    assert too_small(Listing("", {"train": train})) == "one image only, so none to test with: 'b'"
