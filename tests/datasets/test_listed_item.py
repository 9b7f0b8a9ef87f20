import pickle
from pathlib import Path

from dassl.data.datasets import Datum
from datasets.listed_item import listed_item


def test_an_item_is_that_of_the_constructor(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.touch()
    ours, built = listed_item(str(path), 3, "tench"), Datum(impath=str(path), label=3, classname="tench")
    assert type(ours) is Datum and vars(ours) == vars(built)
    assert pickle.dumps(ours) == pickle.dumps(built)


def test_the_file_is_not_looked_for(tmp_path: Path) -> None:
    item = listed_item(str(tmp_path / "nowhere.jpg"), 0, "tench")
    assert (item.impath, item.label, item.domain, item.classname) == (str(tmp_path / "nowhere.jpg"), 0, 0, "tench")
