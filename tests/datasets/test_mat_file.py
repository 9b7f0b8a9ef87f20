import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from datasets.mat_file import class_labels, read_mat


def labels_of(variables: dict[str, Any]) -> list[int]:
    return class_labels(variables["labels"])


def write(path: Path, labels: Any) -> Path:
    savemat(path, {"labels": labels}, do_compression=True)
    return path


def test_labels(tmp_path: Path) -> None:
    for kind in (np.uint8, np.int32, np.float64):
        path = write(tmp_path / "a.mat", np.array([[3, 1, 77]], dtype=kind))
        assert read_mat(path, labels_of, form="labels") == [2, 0, 76]


@pytest.mark.parametrize(
    "labels", [[1, 0], [1.5, 2], [np.nan, 1], [np.inf, 1], [], 5, "text", [[1, 2], [3, 4]], {"a": 1}]
)
def test_labels_that_are_none(labels: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.mat does not hold labels; restore it"):
        read_mat(write(tmp_path / "a.mat", labels), labels_of, form="labels")


def test_another_variable(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"other": [1]})
    with pytest.raises(ValueError, match=r"a\.mat does not hold labels; restore it"):
        read_mat(tmp_path / "a.mat", labels_of, form="labels")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no MATLAB file .*a\.mat"):
        read_mat(tmp_path / "a.mat", labels_of, form="labels")


@pytest.mark.filterwarnings("ignore")  # scipy warns of some of the damage
def test_every_kind_of_damage_is_one_line(tmp_path: Path) -> None:
    """Cut short or with wrong bytes, a file is refused in one line or still holds labels; nothing else happens."""
    whole = write(tmp_path / "a.mat", np.arange(1, 200)).read_bytes()
    choose = random.Random(0)
    refused = 0
    for attempt in range(300):
        damaged = bytearray(whole)
        if attempt % 3 == 0:
            del damaged[choose.randrange(len(whole)) :]
        else:
            for _ in range(choose.choice([1, 20])):
                damaged[choose.randrange(len(whole))] = choose.randrange(256)
        (tmp_path / "a.mat").write_bytes(damaged)
        try:
            assert min(read_mat(tmp_path / "a.mat", labels_of, form="labels")) >= 0
        except ValueError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).endswith("; restore it")
    assert refused > 150
