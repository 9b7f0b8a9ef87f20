import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from datasets.digits import Digits, enlarge


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    from dassl.config import get_cfg_default

    cfg = get_cfg_default()
    cfg.DATASET.ROOT = str(tmp_path_factory.mktemp("data"))
    return Digits(cfg)


def test_grey_levels_and_size() -> None:
    scan = np.zeros((8, 8))
    scan[:, 4:] = 16
    image = enlarge(scan)
    assert image.size == (64, 64) and image.mode == "RGB"
    assert image.getpixel((0, 0)) == (0, 0, 0) and image.getpixel((63, 63)) == (255, 255, 255)
    assert enlarge(np.full((8, 8), 8.0)).getpixel((30, 30)) == (128, 128, 128)


def test_every_scan_is_there_once_with_its_label(digits: Digits) -> None:
    scans, target = load_digits(return_X_y=True)
    items = [*(digits.train_x or ()), *(digits.val or ()), *(digits.test or ())]
    assert sorted(int(Path(item.impath).stem) for item in items) == list(range(1797))
    assert all(target[int(Path(item.impath).stem)] == item.label for item in items)
    item = items[0]
    assert Image.open(item.impath).tobytes() == enlarge(scans[int(Path(item.impath).stem)].reshape(8, 8)).tobytes()
    assert digits.classnames == ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert digits.templates == ("a photo of the digit {}.",)


def test_the_first_half_of_the_shuffled_scans_is_usable_and_the_second_is_test(digits: Digits) -> None:
    _, target = load_digits(return_X_y=True)
    for label in range(10):
        order = list(np.flatnonzero(target == label))
        random.Random(label).shuffle(order)
        usable = len(order) // 2
        expected = (order[: usable * 6 // 10], order[usable * 6 // 10 : usable], order[usable:])
        for part, indices in zip((digits.train_x, digits.val, digits.test), expected, strict=True):
            assert [int(Path(item.impath).stem) for item in part or () if item.label == label] == indices


def test_shots_and_halves(digits: Digits, make_cfg: Callable[..., Any]) -> None:
    root = Path(digits.dataset_dir).parent
    data = Digits(make_cfg(root, shots=16))
    assert set(Counter(item.label for item in data.train_x or ()).values()) == {16}
    assert set(Counter(item.label for item in data.val or ()).values()) == {4}
    assert len(data.test or ()) == 901
    assert Digits(make_cfg(root, shots=16, subsample="new")).classnames == ["five", "six", "seven", "eight", "nine"]
