from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets.dtd import DescribableTextures
from tests.datasets.miniatures.common import build_miniature


def test_the_hidden_file_is_no_image(tmp_path: Path) -> None:
    folder = build_miniature("DescribableTextures", tmp_path, split=False)
    assert (folder / "images" / "waffled" / ".directory").is_file()
    split = DescribableTextures.new_split(folder)
    assert [len(part) for part in split] == [24, 12, 18]
    assert sorted({item.classname for item in split.train}) == [
        *("banded", "blotchy", "braided", "bubbly", "waffled", "zigzagged")
    ]


def test_the_function_that_other_code_calls(tmp_path: Path) -> None:
    folder = build_miniature("DescribableTextures", tmp_path)
    train, val, test = DescribableTextures.read_and_split_data(
        str(folder / "images"), p_trn=0.4, p_val=0.4, ignored=["banded"], new_cnames={"bubbly": "full of bubbles"}
    )
    assert (len(train), len(val), len(test)) == (20, 20, 5)
    assert {item.classname for item in test} == {"blotchy", "braided", "full of bubbles", "waffled", "zigzagged"}


def test_the_real_number_of_images(tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    """120 images of each of 47 textures make the sizes of the published split."""
    for label in range(47):
        folder = tmp_path / "dtd" / "images" / f"texture {label:02d}"
        folder.mkdir(parents=True)
        for index in range(120):
            (folder / f"{index}.jpg").touch()
    for shots, sizes in ((-1, (2820, 1128, 1692)), (16, (752, 188, 1692))):
        data = DescribableTextures(make_cfg(tmp_path, shots=shots))
        assert (len(data.train_x or ()), len(data.val or ()), len(data.test or ())) == sizes
