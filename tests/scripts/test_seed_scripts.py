import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.conftest import NAMES, STUB, Job


@pytest.mark.parametrize(("script", "trainer"), NAMES.items())
def test_three_seeds_with_train_pys_command_line(script: str, trainer: str, job: Job) -> None:
    shots = [] if script == "zeroshot" else ["16"]
    done = job.run(script, "digits", *shots)
    assert done.returncode == 0, done.stderr
    root, number = job.repository, "16" if shots else "0"
    assert job.recorded() == [
        [
            str(root / "scripts/..").replace("/scripts/..", "/train.py"),
            *("--root", ""),
            *("--seed", str(seed)),
            *("--trainer", trainer),
            *("--dataset-config-file", str(root / "configs/datasets/digits.yaml")),
            *("--config-file", str(root / f"configs/trainers/{trainer}/tiny.yaml")),
            *("--output-dir", str(root / f"output/digits/{trainer}/tiny_{number}shots/seed{seed}")),
            *("DATASET.NUM_SHOTS", number),
        ]
        for seed in (1, 2, 3)
    ]
    assert list(job.cwd.iterdir()) == []


def test_a_finished_seed_is_skipped_and_a_half_finished_one_is_not(job: Job) -> None:
    base = job.repository / "output/digits/AMU/tiny_4shots"
    for seed, content in ((1, json.dumps({"status": "finished"}, indent=2)), (2, '{"status": "running"}')):
        job.write(f"output/digits/AMU/tiny_4shots/seed{seed}/result.json", content)
    job.write("output/digits/AMU/tiny_4shots/seed3/log.txt", "epoch [1/50]\n")
    done = job.run("amu", "digits", "4")
    assert f"Seed 1 is finished, skipped: {base / 'seed1'}" in done.stdout
    assert [call[call.index("--seed") + 1] for call in job.recorded()] == ["2", "3"]
    assert job.run("amu", "digits", "4").stdout.count("is finished, skipped") == 3


def test_a_failing_seed_fails_the_job_after_the_others_ran(job: Job) -> None:
    done = job.run("raft", "digits", "1", FAIL="1 3")
    assert done.returncode == 1
    assert len(job.recorded()) == 3
    assert done.stderr.splitlines()[-1].endswith("failed seeds: 1 3")
    assert (job.repository / "output/digits/RAFT/tiny_1shots/seed2/result.json").is_file()


def test_the_environment(job: Job, tmp_path: Path) -> None:
    environment = {"DATA": "../my data", "SEEDS": "5 0", "OUTPUT": str(tmp_path / "my output")}
    assert job.run("amu", "dtd", "2", **environment).returncode == 0
    calls = job.recorded()
    assert [call[call.index("--seed") + 1] for call in calls] == ["5", "0"]
    assert all(call[call.index("--root") + 1] == "../my data" for call in calls)
    assert all(call[call.index("--config-file") + 1].endswith("/AMU/rn50.yaml") for call in calls)
    assert (tmp_path / "my output/dtd/AMU/rn50_2shots/seed0/result.json").is_file()


def test_the_repositorys_own_python_is_taken_first(job: Job) -> None:
    own = job.write(".venv/bin/python", STUB)
    own.chmod(0o755)
    assert job.run("amu", "digits", "1", "rn50", PYTHON="", SEEDS="1").returncode == 0
    assert len(job.recorded()) == 1
    assert (job.repository / "output/digits/AMU/rn50_1shots/seed1").is_dir()


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("script", NAMES)
def test_usage(script: str, flag: str, job: Job) -> None:
    done = job.run(script, flag)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("Usage: bash ") and ": digits dtd" in done.stdout
    assert all(name in done.stdout for name in ("DATA", "SEEDS", "OUTPUT", "PYTHON", "[CFG]"))
    assert ("SHOTS    training" in done.stdout) == (script != "zeroshot")


@pytest.mark.parametrize(
    ("script", "args"),
    [
        ("amu", ()),
        ("amu", ("digits",)),
        ("raft", ("digits", "1", "tiny", "more")),
        ("zeroshot", ()),
        ("zeroshot", ("digits", "tiny", "more")),
    ],
)
def test_wrong_numbers_of_arguments(script: str, args: tuple[str, ...], job: Job) -> None:
    done = job.run(script, *args)
    assert done.returncode == 2 and done.stdout == "" and "\nUsage:" in done.stderr
    assert f"{len(args)} arguments are given, but it takes DATASET" in done.stderr.splitlines()[0]
    assert job.recorded() == []


@pytest.mark.parametrize(
    ("args", "environment", "message"),
    [
        (("nope", "1"), {}, "no data set 'nope'; known are digits dtd imagenet imagenetv2"),
        (("digits", "1", "vit"), {}, "no config 'vit' for AMU; known are rn50 tiny"),
        (("digits", "many"), {}, "SHOTS is 'many'; expected a whole number"),
        (("digits", "-1"), {}, "SHOTS is '-1'; expected a whole number"),
        (("digits", "1"), {"SEEDS": "1 two"}, "SEEDS holds 'two'; expected whole numbers"),
        (("dtd", "1"), {}, "DATA is not set, and dtd is read from it"),
        (("", "1"), {}, "no data set ''; known are"),
    ],
)
def test_wrong_arguments_get_one_line(args: Any, environment: dict[str, str], message: str, job: Job) -> None:
    done = job.run("amu", *args, **environment)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert job.recorded() == []


def test_no_configs_at_all(job: Job) -> None:
    shutil.rmtree(job.repository / "configs")
    assert "known are none" in job.run("amu", "digits", "1").stderr


def test_raft_needs_attention_pooling(job: Job) -> None:
    done = job.run("raft", "digits", "16", "vit_b16")
    assert done.returncode == 2 and job.recorded() == []
    assert done.stderr.strip().endswith(
        "RAFT needs CLIP's attention pooling, which a vision transformer (vit_b16) has not; known are rn50 tiny"
    )


def test_pairs_for_every_run(job: Job) -> None:
    assert job.run("amu", "digits", "2", SEEDS="1", OPTS="OPTIM.MAX_EPOCH 3\n INPUT.SIZE (8,8)").returncode == 0
    assert job.recorded()[0][-6:] == ["DATASET.NUM_SHOTS", "2", "OPTIM.MAX_EPOCH", "3", "INPUT.SIZE", "(8,8)"]


# ------------------------------------------------------------------------------------------------------------- eval.sh


def test_models_are_evaluated_once_more(job: Job) -> None:
    assert job.run("raft", "digits", "4", SEEDS="1 2").returncode == 0
    job.calls.unlink()
    for _ in range(2):  # once more each time
        assert job.run("raft/eval", "digits", "4", SEEDS="1 2").returncode == 0
    calls, base = job.recorded(), job.repository
    assert len(calls) == 4 and calls[:2] == calls[2:]
    model, folder = base / "output/digits/RAFT/tiny_4shots/seed2", base / "output_eval/digits/RAFT/tiny_4shots/seed2"
    assert calls[1][calls[1].index("--output-dir") :] == [
        *("--output-dir", str(folder)),
        "--eval-only",
        *("--model-dir", str(model)),
        *("DATASET.NUM_SHOTS", "4"),
    ]


def test_a_missing_model_is_named_with_its_command_and_the_others_are_evaluated(job: Job) -> None:
    assert job.run("amu", "digits", "4", SEEDS="2").returncode == 0
    done = job.run("amu/eval", "digits", "4", OUTPUT=str(job.repository / "output"))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    model = job.repository / "output/digits/AMU/tiny_4shots/seed1"
    assert f"no trained model in {model}; train it: bash " in lines[0]
    assert lines[0].endswith("/amu/main.sh digits 4 tiny") and len(lines) == 3
    assert lines[-1].endswith("digits: failed seeds: 1 3")
    assert len(job.recorded()) == 2


def test_zero_shot_needs_no_model_to_be_evaluated(job: Job) -> None:
    assert job.run("zeroshot/eval", "digits", SEEDS="1").returncode == 0
    call = job.recorded()[0]
    assert "--model-dir" not in call and "--eval-only" in call
    assert call[call.index("--output-dir") + 1].endswith("/output_eval/digits/ZeroshotCLIP/tiny_0shots/seed1")


# ------------------------------------------------------------------------------- data sets that are only evaluated


def folders(calls: list[list[str]]) -> list[str]:
    return [call[call.index("--output-dir") + 1].partition("/output")[2] for call in calls]


def test_models_for_a_data_set_that_is_only_evaluated_are_trained_elsewhere_first(job: Job) -> None:
    assert job.run("amu", "imagenetv2", "16", DATA="d", SEEDS="1 2").returncode == 0
    calls = job.recorded()
    cell = "AMU/rn50_16shots/seed"
    places = ("imagenet", "imagenetv2")
    assert folders(calls) == [f"/{place}/{cell}{seed}" for place in places for seed in (1, 2)]
    assert ["--eval-only" in call for call in calls] == [False, False, True, True]
    assert calls[3][calls[3].index("--model-dir") + 1].endswith(f"/output/imagenet/{cell}2")
    done = job.run("amu", "imagenetv2", "16", DATA="d", SEEDS="1 2")
    assert done.returncode == 0 and len(job.recorded()) == 4
    assert done.stdout.count("is finished, skipped") == done.stdout.count("is evaluated, skipped") == 2


def test_a_model_that_was_trained_anew_is_evaluated_anew(job: Job) -> None:
    assert job.run("amu", "imagenetv2", "16", DATA="d", SEEDS="1").returncode == 0
    model = job.repository / "output/imagenet/AMU/rn50_16shots/seed1/result.json"
    later = model.stat().st_mtime + 100
    os.utime(model, (later, later))
    assert job.run("amu", "imagenetv2", "16", DATA="d", SEEDS="1").returncode == 0
    assert folders(job.recorded())[2:] == ["/imagenetv2/AMU/rn50_16shots/seed1"]


def test_where_training_failed_nothing_is_evaluated(job: Job) -> None:
    done = job.run("amu", "imagenetv2", "16", DATA="d", SEEDS="1 2", FAIL="1")
    assert done.returncode == 1
    assert "no trained model in " in done.stderr and done.stderr.count("failed seeds: 1") == 2
    assert folders(job.recorded())[-1] == "/imagenetv2/AMU/rn50_16shots/seed2"


def test_zero_shot_evaluates_such_a_data_set_itself(job: Job) -> None:
    assert job.run("zeroshot", "imagenetv2", DATA="d", SEEDS="1").returncode == 0
    assert folders(job.recorded()) == ["/imagenetv2/ZeroshotCLIP/rn50_0shots/seed1"]
