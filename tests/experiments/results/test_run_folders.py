import json
from pathlib import Path
from typing import Any

import pytest

from experiments.results.run_folders import TEST_ENDS, Label, find_run_folders, read_run, read_runs
from tests.experiments.results.run_trees import (
    ORACLE,
    RESULT,
    epochs,
    evaluation,
    finished_log,
    header,
    write_log,
    write_result,
)


def nested(base: Path) -> Path:
    return base / "dtd" / "CoOp" / "rn50_16shots" / "nctx16_cscFalse_ctpend"


# ------------------------------------------------------------------ result.json
def test_a_result(tmp_path: Path) -> None:
    folder = write_result(tmp_path, 3, accuracy=91.5)
    run = read_run(folder)
    assert run.label == Label("digits", "all", "AMU", "tiny", 16, "tiny")
    assert (run.folder, run.seed, run.status, run.error, run.zero_shot) == (folder, 3, "finished", "", 65.0)
    assert run.scores == {"accuracy": 91.5, "macro_f1": 89.0, "error": 8.5}
    assert not run.oracle and run.protocol == RESULT["protocol"] and run.result["accuracy"] == 91.5
    assert read_run(write_result(tmp_path, 4, protocol=ORACLE)).oracle


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"schema": 1, "stat', "JSONDecodeError"),
        ("[" * 100_000, "RecursionError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'schema'"),
        (json.dumps(RESULT | {"schema": 2}), "schema 2 is not 1"),
        (json.dumps(RESULT | {"accuracy": None}), "accuracy is None"),
        (json.dumps(RESULT | {"accuracy": float("nan")}), "accuracy is nan"),
        (json.dumps(RESULT | {"accuracy": 123.0}), "accuracy is 123.0"),
        (json.dumps(RESULT | {"total": 0, "correct": 0}), "evaluated on 0 images"),
        (json.dumps(RESULT | {"total": 10, "correct": 5}), "does not fit 5 correct of 10"),
        (json.dumps(RESULT | {"zero_shot_accuracy": "65"}), "zero_shot_accuracy is '65'"),
        (json.dumps(RESULT | {"protocol": None}), "TypeError"),
        (json.dumps({key: value for key, value in RESULT.items() if key != "protocol"}), "KeyError: 'protocol'"),
    ],
)
def test_a_damaged_result_is_not_believed_nor_is_its_log(content: str, problem: str, tmp_path: Path) -> None:
    folder = write_result(tmp_path, 1)
    (folder / "result.json").write_text(content)
    write_log(folder, finished_log(70))
    run = read_run(folder)
    assert (run.status, run.scores, run.seed) == ("damaged", {}, 1)
    assert problem in run.error and "\n" not in run.error
    assert run.label[:5] == ("digits", "all", "AMU", "tiny", 16)


def test_results_that_are_not_finished(tmp_path: Path) -> None:
    write_log(write_result(tmp_path, 1, status="running"), finished_log(50))
    write_result(tmp_path, 2, status="trained", accuracy=None)
    (running, trained) = read_runs([tmp_path])
    assert (running.status, running.scores, trained.scores) == ("unfinished", {}, {})
    assert (running.error, trained.error) == ("result.json says running", "trained, but never tested")


def test_models_of_another_data_set_are_told_apart(tmp_path: Path) -> None:
    for base, dataset, trainer, source in (
        ("output", "dtd", "AMU", ""),
        ("output_xd", "dtd", "AMU", "imagenet"),
        ("output_xd", "dtd", "ZeroshotCLIP", ""),
        ("output_xd", "imagenet", "AMU", ""),
        ("output", "imagenetv2", "RAFT", "imagenet"),
    ):
        folder = write_result(tmp_path / base, dataset=dataset, trainer=trainer, mode="eval")
        assert read_run(folder).label.trained_on == source
        (folder / "result.json").unlink()
        assert read_run(folder).label.trained_on == source


# ------------------------------------------------------------------ failure.json
def test_failures(tmp_path: Path) -> None:
    facts = {"trainer": "RAFT", "dataset": "shapes", "num_shots": 4, "seed": 7, "config": "tiny", "backbone": "tiny"}
    folder = tmp_path / "anywhere" / "run"
    write_log(folder, json.dumps({"schema": 1, "error": "no such file", **facts}), "failure.json")
    run = read_run(folder)
    assert (run.status, run.error, run.seed) == ("failed", "no such file", 7)
    assert run.label == Label("shapes", "all", "RAFT", "tiny", 4, "tiny")
    write_log(folder, json.dumps({"error": "x", "subsample_classes": "new"}), "failure.json")
    assert read_run(folder).label.subset == "new"
    for damaged in ("{", "[]", "{}", '{"error": "x", "seed": "y"}'):
        write_log(folder, damaged, "failure.json")
        assert read_run(folder).status == "failed" and "failure.json is damaged" in read_run(folder).error


def test_a_failure_of_many_lines_is_told_in_one(tmp_path: Path) -> None:
    text = json.dumps({"error": "RuntimeError: first\n  second\r\nthird\n"})
    assert read_run(write_log(tmp_path / "run", text, "failure.json")).error == "RuntimeError: first second third"
    stands = read_run(write_log(write_result(tmp_path), text, "failure.json"))
    assert stands.remarks == ("a later start failed: RuntimeError: first second third",)


def test_a_result_that_is_older_than_a_failed_start_stands(tmp_path: Path) -> None:
    folder = write_log(write_result(tmp_path), json.dumps({"error": "other settings"}), "failure.json")
    run = read_run(folder)
    assert run.status == "finished" and run.scores["accuracy"] == 90.0
    assert run.remarks == ("a later start failed: other settings",)
    write_log(folder, "{", "failure.json")
    assert read_run(folder).status == "finished"


# ------------------------------------------------------------------ CoOp-style logs
def test_a_finished_log(tmp_path: Path) -> None:
    run = read_run(write_log(nested(tmp_path) / "seed2", finished_log(61.5, seed=2)))
    assert run.label == Label("dtd", "all", "CoOp", "rn50/nctx16_cscFalse_ctpend", 16, "RN50")
    assert (run.seed, run.status, run.zero_shot, run.protocol, run.result) == (2, "finished", None, {}, {})
    assert run.scores == {"accuracy": 61.5, "macro_f1": 60.5, "error": 38.5}


def test_logs_that_did_not_finish(tmp_path: Path) -> None:
    traceback = 'Traceback (most recent call last):\n  File "train.py", line 1\nRuntimeError: CUDA out of memory\n'
    for text, status, error in (
        (header() + epochs(3), "unfinished", "epoch 3/50"),
        (header() + epochs(3) + traceback, "failed", "RuntimeError: CUDA out of memory"),
        (header(), "unfinished", "no epoch finished"),
        ("", "unfinished", "log.txt is empty"),
        (" \n", "unfinished", "log.txt is empty"),
        (header() + evaluation(50), "unfinished", "no end of training in its log; --test-log reads logs of test-only"),
        (finished_log(50).replace("50.0%", "nan%"), "damaged", "accuracy is nan"),
        (finished_log(50).replace("accuracy: 50.0%", "accuracy: 500.0%"), "damaged", "accuracy is 500.0"),
        (
            "Finish training\n=> result\n* total: 0\n* correct: 0\n* accuracy: 0.0%\n",
            "damaged",
            "it was evaluated on 0 images",
        ),
    ):
        run = read_run(write_log(nested(tmp_path) / "seed1", text))
        assert (run.status, run.scores) == (status, {}), text
        assert run.error.startswith(error)
    empty = nested(tmp_path) / "seed9"
    empty.mkdir()
    assert (read_run(empty).status, read_run(empty).error) == ("unfinished", "nothing in the folder")


def test_a_resumed_run_counts_by_its_newest_log_that_finished(tmp_path: Path) -> None:
    folder = write_log(nested(tmp_path) / "seed1", header() + epochs(20))
    write_log(folder, finished_log(60), "log.txt-2024-01-02-10-00-00")
    write_log(folder, finished_log(61), "log.txt-2024-01-02-11-00-00")
    write_log(folder, header() + epochs(49), "log.txt-2024-01-03-00-00-00")
    assert read_run(folder).scores["accuracy"] == 61.0


def test_several_evaluations_are_remarked_on(tmp_path: Path) -> None:
    folder = write_log(tmp_path / "a", evaluation(40) + evaluation(45))
    assert read_run(folder).scores == {}
    run = read_run(folder, TEST_ENDS)
    assert run.scores["accuracy"] == 45.0
    assert run.remarks == ("2 evaluations that differ; the last one counts",)
    assert read_run(write_log(tmp_path / "b", evaluation(45) + evaluation(45)), TEST_ENDS).remarks == ()


def test_test_only_runs_are_known_by_layout_or_arguments(tmp_path: Path) -> None:
    place = Path("dtd") / "shots_16" / "CoCoOp" / "vit_b16" / "seed1"
    for half in ("base", "new"):
        run = read_run(write_log(tmp_path / f"test_{half}" / place, evaluation(55)))
        assert run.label == Label("dtd", half, "CoCoOp", "vit_b16", 16) and run.scores["accuracy"] == 55.0
    assert read_run(write_log(tmp_path / "train_base" / place, evaluation(55))).scores == {}
    transfer = tmp_path / "evaluation" / "CoCoOp" / "vit_b16_c4_ep10_batch1_ctxv1_16shots" / "eurosat" / "seed1"
    run = read_run(write_log(transfer, evaluation(45)))
    assert run.label == Label("eurosat", "all", "CoCoOp", "vit_b16_c4_ep10_batch1_ctxv1", 16, "", "imagenet")
    assert run.scores["accuracy"] == 45.0
    alone = read_run(write_log(tmp_path / "alone", header(7, eval_only=True, subset="new") + evaluation(35)))
    assert alone.scores["accuracy"] == 35.0 and alone.seed == 7


def test_a_log_says_what_its_folder_does_not(tmp_path: Path) -> None:
    run = read_run(write_log(tmp_path / "mine", finished_log(66, seed=7, subset="base", backbone="ViT-B/16")))
    assert run.label == Label("dtd", "base", "CoOp", "rn50", 16, "ViT-B/16") and run.seed == 7
    silent = read_run(write_log(tmp_path / "some" / "run", "seed: x\nFinish training\n* accuracy: 50.0%\n"))
    assert silent.label == Label("some/run", "all", "?", "?", -1) and silent.seed is None
    assert silent.scores == {"accuracy": 50.0, "error": 50.0}


def test_settings_name_the_backbone_of_a_run_that_did_not_finish(tmp_path: Path) -> None:
    folder = write_log(nested(tmp_path) / "seed1", json.dumps({"MODEL.BACKBONE.NAME": "RN101"}), "settings.json")
    assert read_run(folder).label.backbone == "RN101"
    write_log(folder, "[]", "settings.json")
    assert read_run(folder).label.backbone == ""


def test_a_log_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_log(nested(tmp_path) / "seed1", finished_log(60))

    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert (read_run(folder).status, "Permission denied" in read_run(folder).error) == ("damaged", True)


# ------------------------------------------------------------------ folders
def test_folders_of_any_depth(tmp_path: Path) -> None:
    inside = write_log(nested(tmp_path) / "seed1", finished_log(60))
    below = write_log(tmp_path / "dtd" / "CoOp" / "rn50_16shots" / "seed2" / "nctx4", finished_log(61))  # seed above
    (nested(tmp_path) / "seed3").mkdir()
    (inside / "tensorboard").mkdir()
    assert find_run_folders([tmp_path]) == sorted([inside, below, nested(tmp_path) / "seed3"])
    assert find_run_folders([inside, inside.parent, tmp_path / "dtd" / ".." / "dtd"]).count(inside) == 1
    assert read_run(below).seed == 2 and read_run(below).label.config == "rn50/nctx4"


def test_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").mkdir()
    with pytest.raises(FileNotFoundError, match="no runs below"):
        find_run_folders([tmp_path])
    with pytest.raises(FileNotFoundError, match="nowhere is no folder"):
        read_runs([tmp_path / "nowhere"])
