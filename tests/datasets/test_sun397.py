from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.sun397 import SUN397, scene_name
from tests.datasets.miniatures.common import build_miniature

NAMES = [
    *("abbey", "airplane_cabin", "outdoor apartment_building", "indoor apse"),
    *("indoor church", "outdoor church", "youth_hostel"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_miniature("SUN397", tmp_path, split=False)


def test_names_of_scenes() -> None:
    assert scene_name("/a/abbey") == "abbey"
    assert scene_name("/a/apartment_building/outdoor") == "outdoor apartment_building"


@pytest.mark.parametrize("split", [True, False])
def test_nested_scenes(split: bool, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("SUN397", tmp_path, split=split)
    data = SUN397(make_cfg(tmp_path))
    assert data.classnames == NAMES
    folders = {item.classname: Path(item.impath).parent.relative_to(data.image_dir) for item in data.test or ()}
    assert folders["indoor church"] == Path("c/church/indoor") and folders["abbey"] == Path("a/abbey")


def test_images_in_no_list_are_left_out(folder: Path) -> None:
    split = SUN397.new_split(folder)
    assert [len(part) for part in split] == [42, 7, 14]
    assert len(list((folder / "SUN397").rglob("*.jpg"))) == 63 + len(NAMES)


def test_labels_follow_the_list_of_classes(folder: Path) -> None:
    lines = (folder / "ClassName.txt").read_text().splitlines()
    (folder / "ClassName.txt").write_text("\r\n".join(lines[::-1]))
    assert {item.label: item.classname for item in SUN397.new_split(folder).train} == dict(enumerate(NAMES[::-1]))


@pytest.mark.parametrize("name", ["ClassName.txt", "Training_01.txt", "Testing_01.txt"])
def test_missing_lists(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"neither .*split_zhou_SUN397\.json nor .*{name} exists; get it: "):
        SUN397.new_split(folder)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("ClassName.txt", "a/abbey", r"ClassName\.txt, line 8: 'a/abbey' is not '/<letter>/<scene>'"),
        ("ClassName.txt", "/a", r"line 8: '/a' is not"),
        ("ClassName.txt", "//abbey", r"line 8: '//abbey' is not"),
        ("ClassName.txt", "/a/abbey/", r"line 8: '/a/abbey/' is not"),
        ("Testing_01.txt", "/a/abbey", r"Testing_01\.txt, line 15: '/a/abbey' is not '/<letter>/<scene>/<image>'"),
        ("Training_01.txt", "/z/zoo/sun_a.jpg", r"line 50: '/z/zoo/sun_a\.jpg' is not .* a scene of ClassName\.txt"),
        ("Training_01.txt", "sun_a.jpg", r"line 50: 'sun_a\.jpg' is not"),
    ],
)
def test_lines_that_do_not_fit(name: str, line: str, message: str, folder: Path) -> None:
    with (folder / name).open("a") as stream:
        stream.write(line)
    with pytest.raises(ValueError, match=message):
        SUN397.new_split(folder)


def test_a_missing_image(folder: Path) -> None:
    line = (folder / "Testing_01.txt").read_text().splitlines()[-1]
    (folder / "SUN397" / line[1:]).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{line} is missing \(1 of the 14 images listed in .*Testing_01"):
        SUN397.new_split(folder)
