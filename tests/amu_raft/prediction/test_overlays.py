import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from amu_raft.model.few_shot_model import Scores
from amu_raft.prediction.overlays import draw_overlay, overlay_path, write_overlay
from amu_raft.prediction.rows import Guess, Row

GUESSES = [Guess("$x^$ \x1b猫", 2, 0.7), Guess("b", 0, 0.3)]
ROW = Row("a.png", GUESSES, GUESSES)
SQUARE = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8))
LOGITS = torch.tensor([[1.0, -1.0, 3.0]])
METHODS = {
    "AMU": Scores(LOGITS, LOGITS * 2, aux=LOGITS, weight=torch.ones(1, 1)),
    "RAFT": Scores(LOGITS, LOGITS, region=LOGITS, attention=torch.rand(1, 2, 3, 3)),
    "ZeroshotCLIP": Scores(LOGITS, LOGITS),
}


def drawn(scores: Scores, path: Path) -> Any:
    write_overlay(ROW, SQUARE, scores, path)
    stream = io.BytesIO()
    draw_overlay(ROW, SQUARE, scores, stream)
    assert stream.getvalue() == path.read_bytes()
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_draws(method: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = drawn(METHODS[method], tmp_path / "one.png")
    assert pixels.shape[1] > 600 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_where_raft_looks_is_what_is_drawn(tmp_path: Path) -> None:
    corner = torch.zeros(1, 2, 3, 3)
    corner[0, 0, 0, 0] = corner[0, 1, 2, 2] = 1.0
    scores = METHODS["RAFT"]
    there = drawn(scores._replace(attention=corner), tmp_path / "there.png")
    swapped = drawn(scores._replace(attention=corner.flip(1)), tmp_path / "swapped.png")
    third = there.shape[1] // 3
    assert np.array_equal(there[40:, : third - 40], swapped[40:, : third - 40])
    assert not np.array_equal(there[:, third:], swapped[:, third:])


def test_names_keep_apart_and_stay_in_the_folder() -> None:
    folder = Path("why")
    assert overlay_path(folder, 7, "a/../b c.tar.png") == folder / "000007_b_c.tar.png"
    assert overlay_path(folder, 1, "x/same.png") != overlay_path(folder, 2, "y/same.png")
    assert overlay_path(folder, 1, "/…/..").parent == folder
    assert overlay_path(folder, 3, "猫.png").name == "000003_picture.png"
    assert len(overlay_path(folder, 1, "n" * 250).name) < 80
