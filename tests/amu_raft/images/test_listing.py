from pathlib import Path

import pytest

from amu_raft.images.listing import Listing, check_listing

A, B = [Path("a.jpg")], [Path("b.jpg")]


def test_images_of_classes_that_are_not_trained_on() -> None:
    for part in ("val", "test"):
        listing = Listing("list", {"train": {"owl": A, "bat": B}, part: {"owl": A, "cat": B}})
        with pytest.raises(ValueError, match=f"X has {part} images of 'cat', but no training images of it"):
            check_listing(listing, Path("X"))


def test_classes_without_test_images_are_named() -> None:
    listing = Listing("list", {"train": {"owl": A, "bat": B}, "test": {"owl": A}})
    with pytest.warns(UserWarning, match="X has no test images of 'bat'"):
        assert check_listing(listing, Path("X")) is listing


def test_two_classes_are_needed() -> None:
    with pytest.raises(ValueError, match="X has only the class 'owl'; expected two or more"):
        check_listing(Listing("list", {"all": {"owl": A}}), Path("X"))
