import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dassl.data.datasets import Datum
from datasets.split_file import Split, by_label, check_split, read_split, row_of, save_split, split_trainval


def as_rows(items: list[Datum]) -> list[tuple[str, int, str]]:
    return [(item.impath, item.label, item.classname) for item in items]


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_written_splits_read_back_equal(data: st.DataObject, tmp_path: Path, make_image: Callable[[Path], str]) -> None:
    folder = tmp_path / "images"
    image = st.integers(0, 5).map(lambda number: Datum(make_image(folder / f"a b/{number}.jpg")))
    item = st.builds(
        lambda datum, label, name: Datum(impath=datum.impath, label=label, classname=name),
        image,
        st.integers(0, 3),
        NAMES,
    )
    split = Split(*(data.draw(st.lists(item, max_size=5)) for _ in range(3)))
    save_split(*split, tmp_path / "split.json", folder)
    again = read_split(tmp_path / "split.json", folder)
    assert [as_rows(part) for part in again] == [as_rows(part) for part in split]


def test_file_layout_and_lines(
    tmp_path: Path, make_image: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    datum = Datum(impath=make_image(tmp_path / "images" / "sub" / "a.jpg"), label=3, classname="ash")
    path = tmp_path / "split.json"
    save_split([datum], [], [datum], path, str(tmp_path / "images"))
    assert json.loads(path.read_text()) == {
        "train": [["sub/a.jpg", 3, "ash"]],
        "val": [],
        "test": [["sub/a.jpg", 3, "ash"]],
    }
    assert path.read_text().startswith('{\n    "train": [\n        [\n            "sub/a.jpg",')
    assert not path.read_text().endswith("\n")
    train, _, _ = read_split(str(path), str(tmp_path / "images"))
    assert train[0].impath == str(tmp_path / "images" / "sub" / "a.jpg")
    assert capsys.readouterr().out == f"Saved split to {path}\nReading split from {path}\n"


def test_images_outside_the_folder_cannot_be_stored(tmp_path: Path, make_image: Callable[[Path], str]) -> None:
    datum = Datum(impath=make_image(tmp_path / "images2" / "a.jpg"))
    with pytest.raises(ValueError, match="does not lie below"):
        row_of(datum, tmp_path / "images")
    assert row_of(datum, "/")[0] == datum.impath[1:]


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"train": [], "val": []},
        {"train": {}, "val": [], "test": []},
        {"train": [["a.jpg", "0", "ash"]], "val": [], "test": []},
        {"train": [["a.jpg", -1, "ash"]], "val": [], "test": []},
        {"train": [["a.jpg", 0]], "val": [], "test": []},
        {"train": ["abc"], "val": [], "test": []},
    ],
)
def test_another_layout_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"split file .*split\.json"):
        read_split(path, tmp_path)


def test_missing_images_are_counted_and_the_first_is_named(tmp_path: Path, make_image: Callable[[Path], str]) -> None:
    make_image(tmp_path / "a.jpg")
    rows = {"train": [["a.jpg", 0, "ash"]], "val": [["b.jpg", 0, "ash"]], "test": [["c.jpg", 0, "ash"]]}
    (tmp_path / "split.json").write_text(json.dumps(rows))
    with pytest.raises(
        FileNotFoundError, match=r"b\.jpg is missing \(2 of the 3 images listed in .*split\.json\)"
    ) as info:
        read_split(tmp_path / "split.json", tmp_path)
    assert "\n" not in str(info.value)


def test_trainval_is_divided_per_class_by_the_global_generator(
    items: list[Datum], capsys: pytest.CaptureFixture[str]
) -> None:
    random.seed(1)
    train, val = split_trainval(items)
    assert capsys.readouterr().out == "Splitting trainval into 80% train and 20% val\n"
    assert Counter(item.classname for item in val) == {"ash": 2, "birch": 1, "cedar": 1, "dogwood": 4, "elm": 1}
    assert sorted(as_rows([*train, *val])) == sorted(as_rows(items))
    random.seed(1)
    assert as_rows(split_trainval(items)[1]) == as_rows(val)
    assert as_rows(split_trainval(items)[1]) != as_rows(val)


def test_a_class_too_small_for_val_is_named(items: list[Datum]) -> None:
    with pytest.raises(ValueError, match="class 'birch' has 3 images, too few"):
        split_trainval([item for item in items if item.classname == "birch"], p_val=0.1)


def test_groups_are_in_order_of_first_appearance(items: list[Datum]) -> None:
    groups = by_label(items)
    assert list(groups) == list(dict.fromkeys(item.label for item in items))
    assert all(item.label == label for label, group in groups.items() for item in group)


def test_splits_must_hold_every_class(items: list[Datum]) -> None:
    check_split(Split(items, [], items[:2]), "here")
    no_elm = [item for item in items if item.classname != "elm"]
    with pytest.raises(ValueError, match=r"here has no training image of class 'elm' \(label 4\)"):
        check_split(Split(no_elm, [], items), "here")
    no_ash = [item for item in items if item.classname != "ash"]
    with pytest.raises(ValueError, match=r"here has no training image of class '\?' \(label 0\)"):
        check_split(Split(no_ash, [], no_ash), "here")
    with pytest.raises(ValueError, match="here has no train images"):
        check_split(Split([], [], items), "here")
    with pytest.raises(ValueError, match="here has no test images"):
        check_split(Split(items, [], []), "here")
    other = Datum(impath=items[0].impath, label=4, classname="oak")
    with pytest.raises(ValueError, match=r"label 4 two names: '(elm', 'oak|oak', 'elm)'"):
        check_split(Split(items, [other], items), "here")
