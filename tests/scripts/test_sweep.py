"""Whole sweeps, in this process unless marked slow."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import train
from scripts import sweep
from tests.conftest import SMALL_RUN, write_images
from tests.experiments.sweep.stub_files import MENDED, STARTED

REPOSITORY = Path(__file__).parents[2]
STUBS = "tests.experiments.sweep.stub_trainers"


pytestmark = pytest.mark.usefixtures("trainers_of_this_test")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_images(tmp_path / "data", size=(32, 32))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def words(data: Path, output: Path) -> Callable[..., list[str]]:
    """The command line of a small sweep of some trainers."""

    def build(
        *trainers: str, flags: tuple[str, ...] = (), shots: tuple[str, ...] = ("2",), seed: str = "1"
    ) -> list[str]:
        pairs = SMALL_RUN[2:]  # without the number of shots
        return [
            *("--trainers", *trainers, "--datasets", "image_folder", "--backbones", "tiny", "--shots", "2"),
            *("--seeds", *seed.split(), "--root", str(data), "--output-dir", str(output), "--import", STUBS),
            *("--jobs", "0", *flags, *pairs),
        ]

    return build


Words = Callable[..., list[str]]


def journal(output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "sweep.json").read_text())
    return content


def statuses(output: Path) -> list[tuple[str, str]]:
    return [(cell["trainer"], cell["status"]) for cell in journal(output)["cells"]]


def error_line(captured: Any) -> str:
    lines: list[str] = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
    return lines[0]


def test_a_failed_cell_stops_no_other_and_is_tried_again(
    words: Words, data: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = words("Failing", "ZeroshotCLIP", seed="1 2")
    assert sweep.main(command) == sweep.FAILED
    printed = capsys.readouterr()
    assert "3 runs: 0 are done, 3 to run in 1 process; estimated time: unknown until a first run" in printed.out
    failing = output / "image_folder/Failing/tiny_2shots"
    assert printed.err.splitlines() == [
        *(f"failed: {failing}/seed{seed}: TypeError: seed of trouble" for seed in (1, 2)),
        "2 of 3 runs failed; the same command tries them again",
    ]
    assert "Loading" not in printed.out and "Loading" in (failing / "seed1/log.txt").read_text()
    failure = json.loads((failing / "seed2/failure.json").read_text())
    assert (failure["error"], failure["backbone"]) == ("TypeError: seed of trouble", "tiny")
    assert statuses(output) == [("Failing", "failed"), ("Failing", "failed"), ("ZeroshotCLIP", "done")]
    entry = journal(output)["cells"][0]
    assert (
        entry["folder"] == "image_folder/Failing/tiny_2shots/seed1" and entry["error"] == "TypeError: seed of trouble"
    )

    (data / MENDED).touch()
    finished = output / "image_folder/ZeroshotCLIP/tiny_0shots/seed1/result.json"
    before = finished.stat().st_mtime_ns
    assert sweep.main(words("Failing", "ZeroshotCLIP", seed="1 2", flags=("--table",))) == 0
    printed = capsys.readouterr()
    assert "3 runs: 1 are done, 2 to run" in printed.out and printed.err == ""
    assert "| image_folder |" in printed.out.rpartition("seed 2: ")[2]  # the table comes last
    assert {status for _, status in statuses(output)} == {"done"}
    assert not list(output.rglob("failure.json"))
    assert finished.stat().st_mtime_ns == before


def test_nothing_is_left_to_do(words: Words, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(words("ZeroshotCLIP")) == 0
    capsys.readouterr()
    assert sweep.main(words("ZeroshotCLIP")) == 0
    assert "1 run: 1 are done, 0 to run\n" in capsys.readouterr().out
    assert statuses(output) == [("ZeroshotCLIP", "done")]


def test_a_run_of_train_py_counts(words: Words, data: Path, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What lies in the folder is looked at, whoever put it there."""
    folder = output / "image_folder/ZeroshotCLIP/tiny_0shots/seed1"
    flags = ["--trainer", "ZeroshotCLIP", "--root", str(data), "--dataset-config-file", "image_folder"]
    flags += ["--output-dir", str(folder), *SMALL_RUN, "DATASET.NUM_SHOTS", "0"]
    assert train.main(flags) == 0
    capsys.readouterr()
    assert sweep.main(words("ZeroshotCLIP", flags=("--plan-only",))) == 0
    assert "1 run: 1 are done, 0 to run\n" in capsys.readouterr().out


def test_other_settings_are_an_error_and_nothing_runs(
    words: Words, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(words("AMU")) == 0
    journal_before = (output / "sweep.json").read_bytes()
    capsys.readouterr()
    assert sweep.main([*words("AMU", seed="1 2"), "OPTIM.LR", "0.5"]) == sweep.REFUSED
    assert "holds a run with other settings (OPTIM.LR" in error_line(capsys.readouterr())
    assert (output / "sweep.json").read_bytes() == journal_before
    assert not (output / "image_folder/AMU/tiny_2shots/seed2").exists()


def test_plan_only_runs_nothing_and_estimates(words: Words, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(words("AMU", "ZeroshotCLIP", flags=("--dry-run",))) == 0
    assert not output.exists()
    assert sweep.main(words("ZeroshotCLIP")) == 0
    capsys.readouterr()
    path = output / "image_folder/ZeroshotCLIP/tiny_0shots/seed1/result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, "seconds": {"total": 30}}))
    assert sweep.main(words("ZeroshotCLIP", "AMU", flags=("--plan-only",), seed="1 2")) == 0
    printed = capsys.readouterr().out
    assert (
        "3 runs: 1 are done, 2 to run in 1 process; estimated time: about 60 s (2 of them taken for average" in printed
    )


def test_a_plan_file_and_flags_before_it(
    words: Words, output: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(
        f"trainers: [AMU]\ndatasets: image_folder\nbackbones: tiny\nroot: {data}\noutput_dir: {output}\n"
        "seeds: [1]\noverrides: {OPTIM.LR: 0.01}\n"
    )
    assert sweep.main(["--plan", str(path), "--plan-only", "--shots", "1", "2", "OPTIM.MAX_EPOCH", "3"]) == 0
    assert "| image_folder | AMU       | tiny     | train | 1 2" in capsys.readouterr().out
    path.write_text("overrides: OPTIM.LR\n")
    assert sweep.main(["--plan", str(path)]) == sweep.REFUSED
    assert "are KEY: VALUE pairs, got 'OPTIM.LR'" in error_line(capsys.readouterr())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--datasets", "nope"], "no data set 'nope'; known are caltech101"),
        (["--trainers", "Nope"], "unknown trainer 'Nope'"),
        (["--backbones", "huge"], "no configuration of AMU for backbone 'huge'"),
        (["--shots", "0"], "--shots has '0'"),
        (["--seeds", "-1"], "--seeds has '-1'"),
        (["--jobs", "two"], "--jobs is 'two'; accepted are whole numbers"),
        (["--import", "no_such_module"], "No module named 'no_such_module'"),
        (["--plan", "nope.yaml"], "no plan file nope.yaml"),
        (["OPTIM.LRR", "1"], "unknown configuration key 'OPTIM.LRR'"),
        (["OPTIM.LR"], "the last one, 'OPTIM.LR', has no value"),
    ],
)
def test_bad_input_is_one_line(
    flags: list[str], message: str, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--trainers", "AMU", "--datasets", "digits", "--output-dir", str(output)]
    assert sweep.main([*command, *flags]) == sweep.REFUSED
    assert message in error_line(capsys.readouterr())
    assert not output.exists()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("TRAINER.AMU.TUNE nope", "AMU on digits, tiny 1 shots, seed 1: TRAINER.AMU.TUNE is 'nope'; choose from "),
        ("TRAIN.VIEWS 0", "ZeroshotCLIP on digits, tiny, seed 1: "),
        ("OPTIM.MAX_EPOCH 0", "OPTIM.MAX_EPOCH must be at least 1, got 0"),
        ("FEATURES.LIMIT x", "FEATURES.LIMIT: "),
    ],
)
def test_what_a_trainer_refuses_is_told_before_anything_runs(
    pairs: str, message: str, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--trainers", "ZeroshotCLIP", "AMU", "--datasets", "digits", "--shots", "1", "--seeds", "1"]
    assert sweep.main([*command, "--output-dir", str(output), "--plan-only", *pairs.split()]) == sweep.REFUSED
    captured = capsys.readouterr()
    assert message in error_line(captured) and captured.out == ""
    assert not output.exists()


def test_a_trainer_that_cannot_be_asked_is_left_to_its_runs(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(words("Constructed", "Unchecked", flags=("--plan-only",))) == 0
    assert "2 runs: 0 are done, 2 to run" in capsys.readouterr().out


def test_a_folder_in_which_another_process_works_is_left_alone(
    words: Words, output: Path, held: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = output / "image_folder/ZeroshotCLIP/tiny_0shots/seed1"
    with held(folder):
        assert sweep.main(words("ZeroshotCLIP")) == sweep.FAILED
        assert f"failed: {folder}: another process is at work in run folder {folder}" in capsys.readouterr().err
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert sweep.main(words("ZeroshotCLIP")) == 0  # its holder was killed


def test_missing_data_is_found_before_anything_runs(
    output: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--trainers", "ZeroshotCLIP", "--datasets", "dtd", "eurosat", "--backbones", "tiny"]
    command += ["--output-dir", str(output)]
    assert sweep.main(command) == sweep.REFUSED
    reason = "dtd, eurosat: DATASET.ROOT is not given, pass --root DIR"
    line = f"error: 2 of 2 data sets cannot be read, nothing was run: {reason}"
    assert error_line(capsys.readouterr()) == line
    (tmp_path / "eurosat").mkdir()
    assert sweep.main([*command, "--root", str(tmp_path)]) == sweep.REFUSED
    line = error_line(capsys.readouterr())
    assert f"dtd: DescribableTextures needs the folder {tmp_path}/dtd" in line and "; eurosat: " in line
    assert not output.exists()


def test_models_are_evaluated_once_more_and_a_missing_one_is_told(
    words: Words, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(words("AMU")) == 0
    capsys.readouterr()
    for _ in range(2):  # once more each time
        assert sweep.main(words("AMU", flags=("--job", "evaluate"), seed="1 2")) == sweep.FAILED
        printed = capsys.readouterr()
        model = output / "image_folder/AMU/tiny_2shots/seed2"
        assert f": no trained model in {model}\n" in printed.err and "2 runs: 0 are done, 2 to run" in printed.out
    first = output / "image_folder/AMU/tiny_2shots/seed1/result.json"
    again = output.with_name("out_eval") / "image_folder/AMU/tiny_2shots/seed1/result.json"
    assert json.loads(again.read_text())["accuracy"] == json.loads(first.read_text())["accuracy"]
    assert journal(output)["cells"][0]["folder"] == "../out_eval/image_folder/AMU/tiny_2shots/seed1"


def test_verbose_shows_what_runs_print(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main(words("ZeroshotCLIP", flags=("--verbose",))) == 0
    assert "Loading dataset: ImageFolder" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        ("--shots 1 2 OPTIM.LR 0.1 INPUT.SIZE (8,8)", "OPTIM.LR 0.1 INPUT.SIZE (8,8)"),
        ("--root DATA.V2 --trainers AMU RAFT", ""),
        ("--trainers AMU --plan-only OPTIM.LR 1", "OPTIM.LR 1"),
        ("--trainers AMU -- VERBOSE False", "VERBOSE False"),
    ],
)
def test_pairs_follow_the_flags(line: str, pairs: str) -> None:
    flags, found = sweep.split_pairs(line.split())
    assert found == pairs.split() and flags == line.removesuffix(pairs).removesuffix("-- ").split()


# --------------------------------------------------------------------------------------------------- other processes


def start(command: list[str]) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "toolbox")])}
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.sweep", *command],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_processes(command: list[str], jobs: str) -> list[str]:
    """Return a command line with another number of processes."""
    place = command.index("--jobs") + 1
    return [*command[:place], jobs, *command[place + 1 :]]


@pytest.mark.slow
def test_a_process_that_is_killed_is_a_failed_cell(words: Words, output: Path) -> None:
    process = start(in_processes(words("Dying", "ZeroshotCLIP", seed="1 2"), "2"))
    out, err = process.communicate(timeout=300)
    assert process.returncode == sweep.FAILED, out + err
    assert err.count("its process was killed by SIGKILL, as the system does when memory runs out") == 2
    assert statuses(output) == [("Dying", "failed"), ("Dying", "failed"), ("ZeroshotCLIP", "done")]
    failure = json.loads((output / "image_folder/Dying/tiny_2shots/seed1/failure.json").read_text())
    assert "SIGKILL" in failure["error"] and failure["trainer"] == "Dying"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_clean(number: signal.Signals, words: Words, output: Path) -> None:
    process = start(in_processes(words("ZeroshotCLIP", "Waiting", "AMU"), "1"))
    waiting = output / "image_folder/Waiting/tiny_2shots/seed1"
    deadline = time.monotonic() + 240
    while not (waiting / STARTED).exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    since = time.monotonic()
    out, err = process.communicate(timeout=60)  # the pipes close when the last of its processes is gone
    assert time.monotonic() - since < 30
    assert process.returncode == sweep.STOPPED
    assert err.strip() == "stopped; the same command goes on with the runs that are missing"
    assert statuses(output) == [("ZeroshotCLIP", "done"), ("Waiting", "pending"), ("AMU", "pending")]
    assert not (waiting / "failure.json").exists() and "Traceback" not in out
