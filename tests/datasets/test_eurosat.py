from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets.eurosat import EuroSAT
from tests.datasets.miniatures.common import build_miniature

NAMES = [
    *("Annual Crop Land", "Forest", "Herbaceous Vegetation Land", "Highway or Road", "Industrial Buildings"),
    *("Pasture Land", "Permanent Crop Land", "Residential Buildings", "River", "Sea or Lake"),
]


@pytest.mark.parametrize("split", [True, False])
def test_readable_names(split: bool, tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("EuroSAT", tmp_path, split=split)
    data = EuroSAT(make_cfg(tmp_path))
    assert data.classnames == NAMES
    assert {Path(item.impath).parts[-3] for item in data.test or ()} == {"2750"}


def test_halves(tmp_path: Path, make_cfg: Callable[..., Any]) -> None:
    build_miniature("EuroSAT", tmp_path)
    assert EuroSAT(make_cfg(tmp_path, subsample="base")).classnames == NAMES[:5]
    assert EuroSAT(make_cfg(tmp_path, subsample="new")).classnames == NAMES[5:]


def test_another_folder_of_images(tmp_path: Path) -> None:
    """The archive of another publisher unpacks to a folder of another name."""
    folder = build_miniature("EuroSAT", tmp_path, split=False)
    (folder / "2750").rename(folder / "EuroSAT_RGB")
    with pytest.raises(FileNotFoundError, match=r"neither .*split_zhou_EuroSAT\.json nor .*eurosat/2750 exists"):
        EuroSAT.new_split(folder)
