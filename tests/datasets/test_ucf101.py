from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.ucf101 import UCF101, spaced_name
from tests.datasets.miniatures.common import build_miniature

NAMES = ["Apply_Eye_Makeup", "Archery", "Handstand_Pushups", "Tai_Chi", "Uneven_Bars", "Yo_Yo"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_miniature("UCF101", tmp_path, split=False)


def test_names_of_actions() -> None:
    assert [spaced_name(action) for action in ("Archery", "YoYo", "PlayingDhol")] == [
        "Archery",
        "Yo_Yo",
        "Playing_Dhol",
    ]


@pytest.mark.parametrize("split", [True, False])
def test_one_action_is_written_in_two_ways(split: bool, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("UCF101", tmp_path, split=split)
    data = UCF101(make_cfg(tmp_path))
    assert data.classnames == NAMES
    handstands = [Path(item.impath) for item in data.train_x or () if item.label == 2]
    assert {path.parent.name for path in handstands} == {"Handstand_Pushups"}
    assert {path.name.split("_")[1] for path in handstands} == {"HandStandPushups"}


def test_parts(folder: Path) -> None:
    split = UCF101.new_split(folder)
    assert [len(part) for part in split] == [36, 6, 12]
    tested = {Path(item.impath).stem for item in split.test}
    assert tested == {Path(line).stem for line in (folder / "ucfTrainTestlist" / "testlist01.txt").open()}


@pytest.mark.parametrize("name", ["classInd.txt", "trainlist01.txt", "testlist01.txt"])
def test_missing_lists(name: str, folder: Path) -> None:
    (folder / "ucfTrainTestlist" / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"neither .*split_zhou_UCF101\.json nor .*{name} exists; get it: "):
        UCF101.new_split(folder)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("classInd.txt", "Zumba", r"classInd\.txt, line 7: 'Zumba' is not '<number from 1> <Action>'"),
        ("classInd.txt", "0 Zumba", r"line 7: '0 Zumba' is not"),
        ("testlist01.txt", "v_YoYo_g01_c01.avi", r"testlist01\.txt, line 13: 'v_YoYo_g01_c01\.avi' is not '<Action>/"),
        ("trainlist01.txt", "Zumba/v_Zumba_g01_c01.avi 7", r"line 43: .* with an action of classInd\.txt"),
        ("trainlist01.txt", "a/YoYo/v_YoYo_g01_c01.avi 6", r"line 43: .* is not '<Action>/<video>\.avi'"),
    ],
)
def test_lines_that_do_not_fit(name: str, line: str, message: str, folder: Path) -> None:
    with (folder / "ucfTrainTestlist" / name).open("a") as stream:
        stream.write(line)
    with pytest.raises(ValueError, match=message):
        UCF101.new_split(folder)


def test_a_missing_frame(folder: Path) -> None:
    """It is looked for under the class name, though the list has the video's."""
    (folder / "UCF-101-midframes" / "Handstand_Pushups" / "v_HandStandPushups_g01_c01.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"Handstand_Pushups/v_HandStandPushups_g01_c01\.jpg is missing \(1 of"):
        UCF101.new_split(folder)
