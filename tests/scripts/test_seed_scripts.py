import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.conftest import NAMES, STUB, Job


def sweep_of(job: Job, trainer: str, *words: str, seeds: str = "1 2 3", root: str = "", output: str = "") -> list[str]:
    output = output or str(job.repository / "output")
    return [
        *("-m", "scripts.sweep", "--trainers", trainer, "--seeds", *seeds.split()),
        *("--root", root, "--output-dir", output, *words),
    ]


def calls(job: Job) -> list[list[str]]:
    """The recorded command lines; what separates the pairs of every run separates the calls as well."""
    return [call for call in job.recorded() if call]


@pytest.mark.parametrize(("script", "trainer"), NAMES.items())
def test_three_seeds_as_one_sweep(script: str, trainer: str, job: Job) -> None:
    shots = [] if script == "zeroshot" else ["16"]
    done = job.run(script, "digits", *shots)
    assert done.returncode == 0, done.stderr
    number = "16" if shots else "all"
    assert calls(job) == [sweep_of(job, trainer, "--shots", number, "--datasets", "digits")]
    assert job.calls.with_name("calls.path").read_text().startswith(f"{job.repository}")
    assert list(job.cwd.iterdir()) == []


def test_the_status_is_that_of_the_sweep(job: Job) -> None:
    for status in (1, 2, 130):
        assert job.run("raft", "digits", "1", STATUS=str(status)).returncode == status


def test_the_environment(job: Job, tmp_path: Path) -> None:
    environment = {"DATA": "../my data", "SEEDS": "5 0", "OUTPUT": str(tmp_path / "my output")}
    assert job.run("amu", "dtd", "2", "rn50", **environment).returncode == 0
    words = ("--backbones", "rn50", "--shots", "2", "--datasets", "dtd")
    expected = sweep_of(job, "AMU", *words, seeds="5 0", root="../my data", output=str(tmp_path / "my output"))
    (call,) = calls(job)
    assert sorted(call) == sorted(expected) and call[call.index("--root") + 1] == "../my data"


def test_the_repositorys_own_python_is_taken_first(job: Job) -> None:
    own = job.write(".venv/bin/python", STUB)
    own.chmod(0o755)
    assert job.run("amu", "digits", "1", "rn50", PYTHON="", SEEDS="1").returncode == 0
    assert len(calls(job)) == 1


def test_zero_shots_are_all_images(job: Job) -> None:
    assert job.run("amu", "digits", "0").returncode == 0
    (call,) = calls(job)
    assert call[call.index("--shots") + 1] == "all"


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("script", NAMES)
def test_usage(script: str, flag: str, job: Job) -> None:
    done = job.run(script, flag)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("Usage: bash ") and ": digits dtd" in done.stdout
    assert all(name in done.stdout for name in ("DATA", "SEEDS", "OUTPUT", "PYTHON", "[CFG]"))
    assert ("SHOTS    training" in done.stdout) == (script != "zeroshot")


def test_no_configs_at_all(job: Job) -> None:
    shutil.rmtree(job.repository / "configs")
    assert "configs/datasets/: none" in job.run("amu", "-h").stdout


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
    assert calls(job) == []


def test_blank_seeds(job: Job) -> None:
    done = job.run("amu", "digits", "1", SEEDS=" ")
    assert done.returncode == 2 and "SEEDS is blank" in done.stderr and done.stderr.count("\n") == 1


def test_pairs_for_every_run(job: Job) -> None:
    assert job.run("amu", "digits", "2", SEEDS="1", OPTS="OPTIM.MAX_EPOCH 3\n INPUT.SIZE (8,8)").returncode == 0
    assert calls(job)[-1] == ["OPTIM.MAX_EPOCH", "3", "INPUT.SIZE", "(8,8)"]


def test_models_are_evaluated_once_more(job: Job) -> None:
    assert job.run("raft/eval", "digits", "4").returncode == 0
    words: Any = ("--shots", "4", "--datasets", "digits", "--job", "evaluate")
    assert calls(job) == [sweep_of(job, "RAFT", *words)]
