from pathlib import Path

import pytest

from experiments.results.coop_logs import (
    TEST_ENDS,
    TRAINING_ENDS,
    backbone_in_log,
    evaluations,
    last_error,
    log_files,
    progress,
)
from tests.experiments.results.run_trees import epochs, evaluation, finished_log, header, write_log

VALIDATION = "Evaluate on the *val* set\n"
TEST = "Evaluate on the *test* set\n"


def accuracies(log: str, ends: frozenset[str] = TRAINING_ENDS) -> list[float]:
    return [scores["accuracy"] for scores in evaluations(log, ends)]


@pytest.mark.parametrize("end", ["Finish training", "Finished training", "  Finish training  "])
def test_evaluations_after_the_end_of_training_count(end: str) -> None:
    log = f"{evaluation(40)}epoch [50/50]\n{end}\nDeploy the last-epoch model\n{evaluation(61.5)}{evaluation(62.5)}"
    assert accuracies(log) == [61.5, 62.5]
    assert evaluations(log, TRAINING_ENDS)[-1] == {
        "total": 1000,
        "correct": 625,
        "accuracy": 62.5,
        "error": 37.5,
        "macro_f1": 61.5,
    }
    assert accuracies(finished_log(63.5)) == [63.5]


def test_logs_without_an_end_or_without_a_result_after_it() -> None:
    assert accuracies(evaluation(40)) == accuracies("") == []
    assert accuracies(evaluation(40) + "Finish training\n") == []
    assert accuracies(evaluation(40) + "I Finish training now\n" + evaluation(50)) == []
    assert accuracies("Finish training\n=> result\n* total: 10\n") == []


def test_test_only_logs() -> None:
    assert accuracies(evaluation(40) + evaluation(45), TEST_ENDS) == [40.0, 45.0]
    assert accuracies("=> result\n* accuracy: 1e+02%\n", TEST_ENDS) == [100.0]
    assert accuracies(header(eval_only=True) + TEST + evaluation(44)) == [44.0]  # its arguments say what it is
    assert accuracies(header(eval_only=False) + TEST + evaluation(44)) == []


def test_validation_accuracies_are_no_test_accuracies() -> None:
    crashed = header() + epochs(1) + VALIDATION + evaluation(70) + epochs(2) + VALIDATION + evaluation(72)
    assert accuracies(crashed, TEST_ENDS) == accuracies(crashed) == []
    assert accuracies(crashed + TEST + evaluation(60), TEST_ENDS) == [60.0]
    best = crashed + "Finish training\nDeploy the model with the best val performance\n" + TEST + evaluation(61)
    assert accuracies(best) == accuracies(best, TEST_ENDS) == [61.0]


def test_scores_that_are_no_numbers_are_kept_to_be_judged() -> None:
    [scores] = evaluations("Finish training\n=> result\n* accuracy: nan%\n* macro_f1: what%\n", TRAINING_ENDS)
    assert all(value != value for value in scores.values()) and len(scores) == 2


def test_errors_and_progress() -> None:
    traceback = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    main()\n'
    assert last_error(epochs(3)) == ""
    assert last_error(epochs(3) + traceback + "RuntimeError: CUDA out of memory.\nmore\n").startswith("RuntimeError: C")
    assert last_error(traceback + "torch.OutOfMemoryError: no\n") == "torch.OutOfMemoryError: no"
    assert last_error("Traceback (most recent call last):\n") == "traceback without an error"
    assert progress(epochs(3)) == "epoch 3/50" and progress("") == ""


def test_the_backbone_is_read_from_the_configuration() -> None:
    assert backbone_in_log(header(backbone="ViT-B/16")) == "ViT-B/16"
    assert backbone_in_log("MODEL:\n  BACKBONE:\n    FROZEN: True\n    NAME: RN101\n") == "RN101"
    assert backbone_in_log("backbone: \nOPTIM:\n  NAME: sgd\n") == ""


def test_log_files_newest_first(tmp_path: Path) -> None:
    for name in ("log.txt", "log.txt-2024-01-02-10-00-00", "log.txt-2024-01-03-10-00-00", "log.txt.bak", "log.txt~"):
        write_log(tmp_path, "", name)
    (tmp_path / "log.txt-2025").mkdir()
    found = [path.name for path in log_files(tmp_path)]
    assert found == ["log.txt-2024-01-03-10-00-00", "log.txt-2024-01-02-10-00-00", "log.txt"]
