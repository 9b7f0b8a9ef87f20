import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dassl.data.datasets import Datum
from datasets.listed_item import listed_item
from datasets.making_splits import read_and_split_data, split_classes
from datasets.split_file import split_trainval


def items_of(sizes: list[int]) -> list[Datum]:
    return [
        listed_item(f"{label}/{index}.jpg", label, f"class {label}")
        for label, size in enumerate(sizes)
        for index in range(size)
    ]


def test_shares_of_each_class() -> None:
    """Halves go to the even number: of 9 images 4 (not 5) are train, of 15 it is 8 (not 7)."""
    split = split_classes(items_of([9, 15, 10]))
    sizes = [list(Counter(item.label for item in part).values()) for part in split]
    assert sizes == [[4, 8, 5], [2, 3, 2], [3, 4, 3]]
    assert len({item.impath for part in split for item in part}) == 34


def test_real_sizes() -> None:
    """What is known of the published splits: images per class, and the sizes of the parts."""
    eurosat = [3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000]
    for sizes, expected in (
        (eurosat, (13_500, 5_400, 8_100)),
        ([120] * 47, (2_820, 1_128, 1_692)),
        ([1000] * 101, (50_500, 20_200, 30_300)),
    ):
        assert tuple(map(len, split_classes(items_of(sizes)))) == expected
    assert tuple(map(len, split_trainval(items_of([50] * 397)))) == (15_880, 3_970)


def test_draws_from_the_global_generator() -> None:
    def split(seed: int) -> list[str]:
        random.seed(seed)
        return [item.impath for item in split_classes(items_of([20])).train]

    assert split(1) == split(1) != split(2)
    random.seed(1)
    order = [f"0/{index}.jpg" for index in range(20)]
    random.shuffle(order)
    assert split(1) == order[:10]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_small_classes(size: int) -> None:
    """Four images are the fewest: two, one and one."""
    assert tuple(map(len, split_classes(items_of([4])))) == (2, 1, 1)
    with pytest.raises(ValueError, match=rf"class 'class 0' has {size} images, too few to give train, val and test"):
        split_classes(items_of([size]))


def test_folders(tmp_path: Path, make_image: Callable[[Path], str]) -> None:
    for name in ("b", "B", "a", "skipped", "empty and skipped"):
        for index in range(10):
            make_image(tmp_path / name / f"{index}.JPG")
    for path in ("a/.hidden.jpg", "a/notes.txt", ".git/x.jpg", "loose.jpg"):
        make_image(tmp_path / path)
    train, val, test = read_and_split_data(
        str(tmp_path), p_trn=0.6, p_val=0.3, ignored=["skipped", "empty and skipped"], new_cnames={"a": "an a"}
    )
    assert (len(train), len(val), len(test)) == (18, 9, 3)
    assert list(dict.fromkeys((item.label, item.classname) for item in train)) == [(0, "B"), (1, "an a"), (2, "b")]
    assert {Path(item.impath).suffix for item in (*train, *val, *test)} == {".JPG"}


def test_folders_that_are_none(tmp_path: Path, make_image: Callable[[Path], str]) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        read_and_split_data(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no class folders"):
        read_and_split_data(tmp_path)
    make_image(tmp_path / "a" / "1.jpg")
    make_image(tmp_path / "b" / "1.txt")
    with pytest.raises(ValueError, match=r"has no images of 'b'; accepted endings are \.jpg"):
        read_and_split_data(tmp_path)
    with pytest.raises(ValueError, match="class 'a' has 1 images, too few"):
        read_and_split_data(tmp_path, ignored=["b"])
