import io
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from amu_raft.methods import Explanation
from amu_raft.model.few_shot_model import Scores
from amu_raft.prediction.overlays import draw_overlay, overlay_path, write_overlay
from amu_raft.prediction.rows import Guess, Row

GUESSES = [Guess("$x^$ \x1b猫", 2, 0.7), Guess("b", 0, 0.3)]
ROW = Row("a.png", GUESSES, GUESSES)
SQUARE = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (32, 32, 3)).astype(np.uint8))
LOGITS = torch.tensor([[1.0, -1.0, 3.0]])
PARTS = {"zero-shot logit": LOGITS, "weight {weight:.3g} x bias": LOGITS, "sum": 2 * LOGITS}
LOOKS = ("class attention", "background attention")
KINDS = {
    "parts with a number": Scores(LOGITS, LOGITS * 2, {"weight": torch.ones(1)}, Explanation(PARTS)),
    "one part": Scores(LOGITS, LOGITS, explanation=Explanation({"zero-shot logit": LOGITS})),
    "two maps": Scores(LOGITS, LOGITS, explanation=Explanation(maps={name: torch.rand(1, 3, 3) for name in LOOKS})),
    "one map": Scores(LOGITS, LOGITS, explanation=Explanation(maps={"attention": torch.rand(1, 2, 5)})),
}


def drawn(scores: Scores, path: Path) -> Any:
    write_overlay(ROW, SQUARE, scores, path)
    stream = io.BytesIO()
    draw_overlay(ROW, SQUARE, scores, stream)
    assert stream.getvalue() == path.read_bytes()
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_explanation_is_drawn(kind: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = drawn(KINDS[kind], tmp_path / "one.png")
    assert pixels.shape[1] >= 600 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_where_a_model_looks_is_what_is_drawn(tmp_path: Path) -> None:
    first, last = torch.zeros(1, 3, 3), torch.zeros(1, 3, 3)
    first[0, 0, 0] = last[0, 2, 2] = 1.0
    there, swapped = (
        drawn(
            Scores(LOGITS, LOGITS, explanation=Explanation(maps=dict(zip(LOOKS, maps, strict=True)))),
            tmp_path / f"{number}.png",
        )
        for number, maps in enumerate(((first, last), (last, first)))
    )
    third = there.shape[1] // 3
    assert np.array_equal(there[40:, : third - 40], swapped[40:, : third - 40])
    assert not np.array_equal(there[:, third:], swapped[:, third:])


def test_a_label_says_the_number_of_its_picture(tmp_path: Path) -> None:
    """The same logits with another weight, in the label alone, are another drawing; without the number they are not."""
    shown = {
        (label, weight): drawn(
            Scores(LOGITS, LOGITS, {"weight": torch.tensor([weight])}, Explanation({label: LOGITS})),
            tmp_path / f"{number}.png",
        )
        for number, (label, weight) in enumerate(product(("weight {weight:.3g}", "weight"), (0.25, 0.75)))
    }
    assert not np.array_equal(shown["weight {weight:.3g}", 0.25], shown["weight {weight:.3g}", 0.75])
    assert np.array_equal(shown["weight", 0.25], shown["weight", 0.75])


def test_names_keep_apart_and_stay_in_the_folder() -> None:
    folder = Path("why")
    assert overlay_path(folder, 7, "a/../b c.tar.png") == folder / "000007_b_c.tar.png"
    assert overlay_path(folder, 1, "x/same.png") != overlay_path(folder, 2, "y/same.png")
    assert overlay_path(folder, 1, "/…/..").parent == folder
    assert overlay_path(folder, 3, "猫.png").name == "000003_picture.png"
    assert len(overlay_path(folder, 1, "n" * 250).name) < 80
