import threading
import time
from collections.abc import Iterator

import pytest
import torch
from PIL import Image

from amu_raft.images.pixels import PixelRecipe
from amu_raft.prediction.listing import Listed
from amu_raft.prediction.reading import Picture, batched, read_pictures

RECIPE = PixelRecipe(4, "bilinear")


def read(path: str) -> Image.Image:
    """Names are seconds to take; "bad" is no picture."""
    if path == "bad":
        raise OSError("no\npicture")
    time.sleep(float(path))
    return Image.new("RGB", (8, 8), (int(1000 * float(path)), 0, 0))


def test_the_order_is_kept_however_long_each_takes() -> None:
    paths = ["0.03", "0", "0.02", "bad", "0.001"]
    found = list(read_pictures(map(Listed, paths), RECIPE, read, workers=3, ahead=3))
    assert [picture.path for picture in found] == paths
    assert [int(picture.square[0, 0, 0]) if picture.square is not None else None for picture in found] == [
        30,
        0,
        20,
        None,
        1,
    ]
    assert found[3].error == "no picture"


def test_errors_of_the_listing_are_passed_on() -> None:
    assert list(read_pictures([Listed("x", "no such file")], RECIPE, read, workers=1, ahead=1)) == [
        Picture("x", None, "no such file")
    ]


def test_memory_that_does_not_suffice_is_an_error_of_the_picture() -> None:
    def full(path: str) -> Image.Image:
        raise MemoryError

    [picture] = read_pictures([Listed("x")], RECIPE, full, workers=1, ahead=1)
    assert picture.error == "MemoryError"


def test_only_so_many_are_read_ahead() -> None:
    taken = 0

    def endless() -> Iterator[Listed]:
        nonlocal taken
        while True:
            taken += 1
            yield Listed("0")

    pictures = read_pictures(endless(), RECIPE, read, workers=2, ahead=5)
    for number in range(1, 40):
        next(pictures)
        assert taken <= number + 5 + 1
    pictures.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_other_errors_end_it(error: type[BaseException]) -> None:
    def broken(path: str) -> Image.Image:
        raise error("defect")

    with pytest.raises(error, match="defect"):
        list(read_pictures([Listed("x")], RECIPE, broken, workers=1, ahead=1))


def test_groups() -> None:
    good, bad = Picture("g", torch.zeros(1)), Picture("b", None, "no")
    assert [len(group) for group in batched([good, bad, good, good, bad], 2)] == [3, 2]
    assert [len(group) for group in batched([bad] * 9, 2)] == [8, 1]
    assert list(batched([], 2)) == []
