import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import experiments.runs.session
import train
from experiments.runs.arguments import build_parser
from experiments.runs.config import REPOSITORY

Train = Callable[..., Any]


def python(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
import train
try:
    train.main(["--help"])
finally:
    heavy = ("torch", "torchvision", "numpy", "clip", "yacs", "dassl")
    print("loaded:", [name for name in heavy if name in sys.modules])
"""
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loaded: []" in done.stdout
    for flag in (
        "--root",
        "--output-dir",
        "--resume",
        "--seed",
        "--trainer",
        "--backbone",
        "--eval-only",
        "--model-dir",
    ):
        assert flag in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_that_names_no_data_set_is_about_the_models_own(finished: Train, tmp_path: Path) -> None:
    trained = finished("RAFT")
    words = ["--trainer", "RAFT", "--eval-only", "--model-dir", str(trained.folder), "--output-dir", str(tmp_path)]
    assert train.main(words) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["dataset"], result["total"]) == ("image_folder", trained.result["total"])
    assert result["branches"] == trained.result["branches"] and result["model"] == str(trained.folder)


def test_another_process_gives_the_same_figures_to_the_last_bit(
    finished: Train, figures_of: Any, image_root: Path, tmp_path: Path
) -> None:
    """As the README has it: python train.py, from the repository or anywhere else."""
    expected = finished("AMU")
    cfg, flags = expected.result["cfg"], []
    for node, key in (("DATASET", "NUM_SHOTS"), ("OPTIM", "MAX_EPOCH"), ("OPTIM", "WARMUP_EPOCH"), ("TRAIN", "VIEWS")):
        flags += [f"{node}.{key}", str(cfg[node][key])]
    flags += ["TRAIN.CHECKPOINT_FREQ", "1", "DATALOADER.TRAIN_X.BATCH_SIZE", "4"]
    command = [str(REPOSITORY / "train.py"), "--trainer", "AMU", "--root", str(image_root)]
    done = python(*command, "--dataset-config-file", "image_folder", *flags, cwd=tmp_path, PYTHONHASHSEED="7")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "warning" not in done.stderr
    folder = tmp_path / "output" / "image_folder" / "AMU" / "tiny_2shots" / "seed1"
    result = json.loads((folder / "result.json").read_text())
    assert figures_of(result) == figures_of(expected.result)
    ours, theirs = (run / "adapter" / "model.pth.tar-4" for run in (folder, expected.folder))
    import torch

    first, second = (torch.load(path, weights_only=True)["state_dict"]["fc.weight"] for path in (ours, theirs))
    assert torch.equal(first, second)


def test_run_returns_the_record(workdir: Path, image_root: Path) -> None:
    argv = ["--trainer", "ZeroshotCLIP", "--root", str(image_root), "--dataset-config-file", "image_folder"]
    result = experiments.runs.session.run(build_parser().parse_args(argv))
    folder = workdir / "output" / "image_folder" / "ZeroshotCLIP" / "tiny_0shots" / "seed1"
    assert result["accuracy"] == json.loads((folder / "result.json").read_text())["accuracy"]
    assert experiments.runs.session.run(build_parser().parse_args([*argv, "--no-train"])) == {}


def test_evaluation_has_a_folder_of_its_own(workdir: Path, image_root: Path) -> None:
    argv = [
        "--trainer",
        "ZeroshotCLIP",
        "--root",
        str(image_root),
        "--dataset-config-file",
        "image_folder",
        "--eval-only",
    ]
    assert train.main(argv) == 0
    [result] = workdir.rglob("result.json")
    assert result.parent == workdir / "output_eval" / "image_folder" / "ZeroshotCLIP" / "tiny_0shots" / "seed1"
    assert json.loads(result.read_text())["mode"] == "eval"


# -------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--trainer", "AMUU"], "unknown trainer 'AMUU' (did you mean 'AMU'?); --trainer takes one of AMU, "),
        ([], "no trainer given; --trainer takes one of"),
        (["--trainer", "AMU", "OPTIM.LRR", "1"], "unknown configuration key 'OPTIM.LRR' in command line; the nearest"),
        (["--trainer", "AMU", "OPTIM.LR", "x"], "key OPTIM.LR in command line takes a value of type float, got 'x'"),
        (["--trainer", "AMU", "DATASET.NAME", "Digit"], "but got [Digit] (do you mean [Digits]?)"),
        (["--trainer", "AMU", "--dataset-config-file", "mnist"], "configs/datasets has: caltech101, digits, dtd"),
        (["--trainer", "AMU", "--root", "/no/such/root"], "the data root /no/such/root does not exist"),
        (["--trainer", "AMU", "--dataset-config-file", "image_folder"], "pass --data PATH"),
        (["--trainer", "AMU", "--seed", "99999999999"], "between 0 and 2**32 - 1"),
        (["--trainer", "AMU", "--backbone", "RN51"], "unknown backbone 'RN51' (did you mean 'RN50'?)"),
        (["--trainer", "RAFT", "--backbone", "/no/such/file.pt"], "unknown backbone '/no/such/file.pt'"),
        (["--trainer", "AMU", "INPUT.TRANSFORMS", "('flip',)"], "flip"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_1(
    argv: list[str], message: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(argv) == 1
    err = capsys.readouterr().err
    [line] = [line for line in err.splitlines() if "error" in line.lower()]
    assert line.startswith("error: ") and message in line and "Traceback" not in err
    assert not list(workdir.rglob("result.json"))


def test_data_sets_that_exist_are_listed(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--trainer", "AMU", "DATASET.NAME", "Nope"]) == 1
    err = capsys.readouterr().err
    assert all(name in err for name in ("'Digits'", "'Shapes'", "'ImageFolder'", "'OxfordPets'", "[Nope]"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("INPUT.PIXEL_STD", "['a', 1, 1]"),
        ("INPUT.RRCROP_SCALE", "(0.5,)"),
        ("INPUT.NO_TRANSFORM", "True"),
        ("DATALOADER.K_TRANSFORMS", "2"),
    ],
)
def test_odd_values_are_one_line_too(key: str, value: str, train_main: Train) -> None:
    assert train_main("AMU", key, value).error


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("INPUT.PIXEL_STD", "[0.0, 1.0, 1.0]", "std"),
        ("INPUT.PIXEL_MEAN", "[0.5]", "takes 3 numbers, got [0.5]"),
        ("INPUT.SIZE", "64x64", "takes 2 numbers, got '64x64'"),
        ("INPUT.INTERPOLATION", "lanczos", "INPUT.INTERPOLATION must be one of"),
        ("DATALOADER.TRAIN_X.BATCH_SIZE", "0", "DATALOADER.TRAIN_X.BATCH_SIZE must be at least 1, got 0"),
        ("DATALOADER.NUM_WORKERS", "-1", "num_workers"),
        ("DATALOADER.TRAIN_X.SAMPLER", "Random", "Random"),
        ("OPTIM.NAME", "lion", "OPTIM.NAME must be one of"),
        ("OPTIM.WEIGHT_DECAY", "-1.0", "OPTIM.WEIGHT_DECAY must be at least 0 and finite, got -1.0"),
        ("OPTIM.MAX_EPOCH", "0", "must be at least 1, got 0"),
        ("TEST.EVALUATOR", "Regression", "Classification"),
        ("DATASET.SUBSAMPLE_CLASSES", "odd", "accepted are all, base, new"),
    ],
)
def test_values_out_of_range(key: str, value: str, message: str, train_main: Train) -> None:
    run = train_main("AMU", key, value)
    assert run.status == 1 and message in run.error


def test_a_traceback_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMU_RAFT_TRACEBACK", "1")
    with pytest.raises(ValueError, match="no trainer given"):
        train.main([])


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments.runs.session, "run", interrupt)
    assert train.main(["--trainer", "AMU"]) == 130
    assert capsys.readouterr().err == "stopped; the same command resumes from the last checkpoint\n"


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments.runs.session, "run", lambda _: None + 1)  # type: ignore[operator]
    with pytest.raises(TypeError):
        train.main(["--trainer", "AMU"])


def test_the_embedded_default_on_real_digits(workdir: Path) -> None:
    """With nothing but a trainer: Digits, the tiny CLIP, 16 shots, seed 1; cut down to two epochs here."""
    assert train.main(["--trainer", "AMU", "OPTIM.MAX_EPOCH", "2", "TRAIN.VIEWS", "1"]) == 0
    result = json.loads((workdir / "output" / "digits" / "AMU" / "tiny_16shots" / "seed1" / "result.json").read_text())
    assert (result["num_shots"], result["seed"], len(result["per_class_accuracy"])) == (16, 1, 10)
    assert result["accuracy"] > result["zero_shot_accuracy"] + 10
