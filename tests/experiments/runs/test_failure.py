import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.runs.failure import FAILURE_FILE, facts_of, failure_recorded, write_failure

MakePlan = Callable[..., Any]
Train = Callable[..., Any]


@pytest.fixture
def planned(plan: MakePlan, tmp_path: Path) -> Any:
    return plan("--trainer", "AMU", "--output-dir", str(tmp_path / "run"), "--seed", "4", "DATASET.NUM_SHOTS", "2")


def test_the_reason_is_recorded_until_the_next_start(planned: Any) -> None:
    path = Path(planned.cfg.OUTPUT_DIR) / FAILURE_FILE
    with pytest.raises(ValueError, match="two"), failure_recorded(planned):
        raise ValueError("two\nlines")
    failure = json.loads(path.read_text())
    assert failure.pop("when").endswith("+00:00")
    assert failure == {
        **{"schema": 1, "error": "two lines", "trainer": "AMU", "dataset": "digits", "num_shots": 2, "seed": 4},
        **{"config": "tiny", "backbone": "tiny", "subsample_classes": "all"},
    }
    with failure_recorded(planned):
        assert not path.exists()


def test_an_interrupt_is_no_failure(planned: Any) -> None:
    with pytest.raises(KeyboardInterrupt), failure_recorded(planned):
        raise KeyboardInterrupt
    assert not (Path(planned.cfg.OUTPUT_DIR) / FAILURE_FILE).exists()


def test_a_result_stands(planned: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    write_failure(folder, "refused", facts_of(planned))
    assert not (folder / FAILURE_FILE).exists()


def test_a_run_that_fails_leaves_its_reason_and_traceback(train_main: Train) -> None:
    run = train_main("AMU", "TRAINER.AMU.UNCERTAINTY", "nope")
    assert run.status == 1
    failure = json.loads((run.folder / FAILURE_FILE).read_text())
    assert run.error == f"error: {failure['error']}" and failure["dataset"] == "image_folder"
    assert "Traceback" in (run.folder / "log.txt").read_text()
    again = train_main("AMU", folder=run.folder)
    assert again.status == 0 and not (run.folder / FAILURE_FILE).exists()


def test_a_folder_that_cannot_be_written_is_named_by_its_own_error(train_main: Train, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = train_main("AMU", folder=tmp_path / "file" / "run")
    assert run.status == 1 and "cannot be written" in run.error
