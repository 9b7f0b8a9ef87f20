import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.results.attention import read_attention
from experiments.results.predictions import read_predictions
from experiments.results.run_folders import TEST_ENDS, read_run
from tests.conftest import Run
from tests.experiments.results.example_runs import write_example_run


@pytest.mark.parametrize("trainer", ["AMU", "RAFT", "ZeroshotCLIP"])
def test_an_example_reads_as_a_run_does(tmp_path: Path, trainer: str) -> None:
    result = write_example_run(tmp_path, trainer, num_shots=2, seed=3)
    predictions = read_predictions(tmp_path)
    run = read_run(tmp_path, TEST_ENDS)
    assert run.scores["accuracy"] == result["accuracy"] == pytest.approx(100 * predictions.correct.mean())
    assert (run.seed, run.label.trainer, run.label.shots) == (3, trainer, 2)
    assert all(Path(predictions.root, name).is_file() for name in predictions.images)
    assert (tmp_path / "attention.safetensors").is_file() == (trainer == "RAFT")
    if trainer == "RAFT":
        assert len(read_attention(tmp_path, 60).rows) == 60


@pytest.mark.parametrize("trainer", ["AMU", "RAFT", "ZeroshotCLIP"])
def test_an_example_has_what_a_real_run_has(tmp_path: Path, trainer: str, finished: Callable[[str], Run]) -> None:
    real, example = finished(trainer), write_example_run(tmp_path, trainer)
    assert set(real.result) - {"tuning"} <= set(example)
    assert set(real.result["protocol"]) <= set(example["protocol"]) | {"alpha_rule"}
    there, here = read_predictions(real.folder), read_predictions(tmp_path)
    assert set(there.extras) == set(here.extras)
    assert json.loads((tmp_path / "result.json").read_text()) == example
