import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.io import savemat

from datasets.oxford_flowers import OxfordFlowers
from tests.datasets.miniatures.common import build_miniature
from tests.datasets.miniatures.coop import FLOWERS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_miniature("OxfordFlowers", tmp_path, split=False)


def test_labels_and_names_come_from_two_files(folder: Path, make_cfg: Callable[..., Any]) -> None:
    data = OxfordFlowers(make_cfg(folder.parent))
    assert data.classnames == list(FLOWERS)
    published = build_miniature("OxfordFlowers", folder.parent / "published") / "split_zhou_OxfordFlowers.json"
    label_of = {path: label for rows in json.loads(published.read_text()).values() for path, label, _ in rows}
    items = (*(data.train_x or ()), *(data.val or ()), *(data.test or ()))
    assert {Path(item.impath).name: item.label for item in items} == label_of
    assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == (32, 16, 24)  # 4, 2 and 3 of each


def test_the_order_of_the_published_labels_is_kept(folder: Path) -> None:
    """The classes are drawn for in the order in which their first images come, as CoOp does."""
    labels = list(dict.fromkeys(item.label for item in OxfordFlowers.new_split(folder).train))
    assert labels != sorted(labels) and sorted(labels) == list(range(8))
    first = {
        label: min(int(Path(i.impath).stem[-5:]) for i in OxfordFlowers.new_split(folder).train if i.label == label)
        for label in labels
    }
    assert labels == sorted(labels, key=first.__getitem__)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("imagelabels.mat", b"", r"imagelabels\.mat is damaged, no MATLAB file"),
        ("imagelabels.mat", b"<html>404 Not Found</html>" * 20, r"imagelabels\.mat is damaged, no MATLAB file"),
        ("cat_to_name.json", b"{", r"file of class names .*cat_to_name\.json is damaged"),
        ("cat_to_name.json", b"[1]", r"cat_to_name\.json has no name of class 1; expected"),
        ("cat_to_name.json", b'{"1": "pink primrose"}', r"cat_to_name\.json has no name of class 2; expected"),
        ("cat_to_name.json", b'{"1": 5}', r"cat_to_name\.json has no name of class 1; expected"),
    ],
)
def test_damaged_files(name: str, content: bytes, message: str, folder: Path) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        OxfordFlowers.new_split(folder)


def test_a_class_that_is_counted_from_zero(folder: Path) -> None:
    savemat(folder / "imagelabels.mat", {"labels": [0] * 72})
    with pytest.raises(
        ValueError, match=r"imagelabels\.mat does not hold one class from 1 for each image, as 'labels'"
    ):
        OxfordFlowers.new_split(folder)


@pytest.mark.parametrize("name", ["imagelabels.mat", "cat_to_name.json"])
def test_missing_files(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"neither .*split_zhou_OxfordFlowers\.json nor .*{name} exists; get it: "
    ):
        OxfordFlowers.new_split(folder)


def test_a_missing_image(folder: Path) -> None:
    (folder / "jpg" / "image_00072.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"image_00072\.jpg is missing \(1 of the 72 images listed in .*labels"):
        OxfordFlowers.new_split(folder)
