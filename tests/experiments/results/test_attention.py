import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.results.attention import AttentionMaps, choose_rows, read_attention, write_attention
from experiments.results.tensor_file import read_tensor_file, write_tensor_file
from tests.experiments.results.example_runs import example_attention, example_predictions


@pytest.fixture
def attention(tmp_path: Path) -> AttentionMaps:
    return example_attention(example_predictions(tmp_path, "RAFT", num_images=9), grid=3)


def test_what_is_written_is_read(tmp_path: Path, attention: AttentionMaps) -> None:
    write_attention(attention, tmp_path)
    found = read_attention(tmp_path, 9)
    assert vars(found).keys() == vars(attention).keys() and found.class_after.shape == (9, 3, 3)
    assert all(np.array_equal(getattr(found, name), values) for name, values in vars(attention).items())


def test_wrong_images_come_first_and_no_more_than_the_limit(tmp_path: Path) -> None:
    predictions = example_predictions(tmp_path, "RAFT", num_images=200)
    rows, wrong = choose_rows(predictions), np.flatnonzero(~predictions.correct)
    assert len(rows) == 64 and rows.dtype == np.int64
    assert rows[: len(wrong)].tolist() == wrong[:64].tolist()
    few = choose_rows(predictions, limit=3)
    assert few.tolist() == rows[:3].tolist()
    everything = choose_rows(predictions, limit=500)
    assert sorted(everything.tolist()) == list(range(200))
    assert everything[len(wrong) :].tolist() == np.flatnonzero(predictions.correct).tolist()


FAULTS: dict[str, tuple[Any, str]] = {
    "twice": (lambda a: {"rows": np.zeros(9, np.int64)}, "rows has a number twice, or below 0"),
    "negative": (lambda a: {"rows": np.arange(-1, 8, dtype=np.int64)}, "rows has a number twice, or below 0"),
    "narrow": (lambda a: {"rows": a.rows.astype(np.int32)}, "rows is int32 (9,), where int64 (M,) is wanted"),
    "none": (lambda a: {"rows": a.rows[:0]}, "rows is int64 (0,), where int64 (M,) is wanted"),
    "short": (
        lambda a: {"class_after": a.class_after[:4]},
        "class_after is float32 (4, 3, 3), where float32 (9, 3, 3)",
    ),
    "flat": (
        lambda a: {name: getattr(a, name).reshape(9, 9) for name in vars(a) if name != "rows"},
        "class_before is float32 (9, 9)",
    ),
    "negative attention": (lambda a: {"background_after": -a.class_after}, "background_after is no attention"),
    "too much": (lambda a: {"class_before": 2 * a.class_before}, "class_before is no attention, which is at least 0"),
    "not a number": (
        lambda a: {"background_before": a.class_after * np.float32(np.nan)},
        "background_before is no att",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_parts_that_do_not_fit(
    tmp_path: Path, attention: AttentionMaps, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = FAULTS[fault]
    bad = replace(attention, **change(attention))
    with pytest.raises(ValueError, match=re.escape(message)):
        write_attention(bad, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("experiments.results.attention._check", lambda _: None)
        write_attention(bad, tmp_path)
    with pytest.raises(ValueError, match=re.escape(f"attention.safetensors is damaged: {message}")):
        read_attention(tmp_path, 9)


def test_rows_beyond_the_predictions_and_missing_maps(tmp_path: Path, attention: AttentionMaps) -> None:
    write_attention(attention, tmp_path)
    with pytest.raises(ValueError, match="row 8 is none of the 8 images predicted"):
        read_attention(tmp_path, 8)
    path = tmp_path / "attention.safetensors"
    arrays, about = read_tensor_file(path, what="file", schema=1)
    arrays.pop("class_after")
    write_tensor_file(arrays, about, path)
    with pytest.raises(ValueError, match="is damaged: it has no class_after"):
        read_attention(tmp_path, 9)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no attention file"):
        read_attention(tmp_path, 9)
