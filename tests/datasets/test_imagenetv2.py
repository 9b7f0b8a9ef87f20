import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.imagenetv2 import ImageNetV2
from tests.datasets.miniatures.imagenet import CLASSNAMES, WNIDS, write_classnames, write_imagenet_v2


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_imagenet_v2(tmp_path) / "imagenetv2-matched-frequency-format-val"


@pytest.fixture
def load(make_cfg: Callable[..., Any], images: Path) -> Callable[[], ImageNetV2]:
    return lambda: ImageNetV2(make_cfg(images.parents[1]))


def test_numbers_are_labels_although_text_sorts_otherwise(load: Callable[[], ImageNetV2], images: Path) -> None:
    assert sorted(path.name for path in images.iterdir())[2] == "10"
    data = load()
    assert data.lab2cname[2] == "great white shark" and data.lab2cname[10] == "sunglasses"
    assert [item.label for item in data.test] == [label for label in range(12) for _ in range(2)]


def test_lines_give_the_numbers(load: Callable[[], ImageNetV2], images: Path) -> None:
    """Other than in the folders of wnids, the order of the lines matters."""
    write_classnames(images.parent, dict(reversed(CLASSNAMES.items())))
    data = load()
    assert data.classnames == list(reversed(CLASSNAMES.values())) and data.class_keys == list(reversed(WNIDS))


@pytest.mark.parametrize("strange", ["n01440764", "007", "12", "-1", "²", "notes"])
def test_folders_that_are_no_numbers_of_lines(strange: str, load: Callable[[], ImageNetV2], images: Path) -> None:
    (images / "7").rename(images / strange)
    with pytest.raises(
        ValueError, match=rf"has the class folders '{strange}'; expected are 0 to 11, the lines of .*2020"
    ):
        load()


def test_folders_that_are_missing(load: Callable[[], ImageNetV2], images: Path) -> None:
    shutil.rmtree(images / "10")
    shutil.rmtree(images / "9")
    with pytest.raises(
        ValueError, match=r"lacks the class folders '9', '10' of 0 to 11, the lines of .*classnames\.txt$"
    ):
        load()


def test_the_package_of_wnid_folders_is_refused(load: Callable[[], ImageNetV2], images: Path) -> None:
    for label, wnid in enumerate(WNIDS):
        (images / str(label)).rename(images / wnid)
    with pytest.raises(ValueError, match=r"'n01440764', .* and 7 more; expected are .*December 2020"):
        load()
