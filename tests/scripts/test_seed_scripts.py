import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMES = {"amu": "AMU", "raft": "RAFT", "zeroshot": "ZeroshotCLIP"}

# Stands in for Python: notes its arguments, fails for the seeds in FAIL and writes the result otherwise.
STUB = """#!/usr/bin/env bash
printf '%s\\n' "$@" >> "$CALLS"; echo -- >> "$CALLS"
while [[ $1 != --seed ]]; do shift; done; seed=$2
while [[ $1 != --output-dir ]]; do shift; done; folder=$2
[[ " ${FAIL:-} " != *" $seed "* ]] || exit 3
mkdir -p "$folder"; echo '{"status": "finished"}' > "$folder/result.json"
"""


class Job:
    """A copy of the scripts in a repository whose path has blanks."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.calls, self.cwd = folder / "my repository", folder / "calls", folder / "elsewhere"
        self.cwd.mkdir()
        shutil.copytree(SCRIPTS, self.repository / "scripts")
        for name in ("digits", "dtd"):
            text = "# Needs no DATA: made here\n" if name == "digits" else "# Textures\n"
            self.write(f"configs/datasets/{name}.yaml", text)
        for trainer in NAMES.values():
            for cfg in ("tiny", "rn50"):
                self.write(f"configs/trainers/{trainer}/{cfg}.yaml", "")
        self.python = self.write("a python", STUB)
        self.python.chmod(self.python.stat().st_mode | stat.S_IXUSR)

    def write(self, name: str, text: str) -> Path:
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, script: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if key not in ("DATA", "SEEDS", "OUTPUT", "PYTHON")}
        return subprocess.run(
            ["bash", str(self.repository / "scripts" / script / "main.sh"), *args],
            cwd=self.cwd,
            env=clean | {"PYTHON": str(self.python), "CALLS": str(self.calls)} | environment,
            capture_output=True,
            text=True,
        )

    def recorded(self) -> list[list[str]]:
        if not self.calls.exists():
            return []
        return [call.splitlines() for call in self.calls.read_text().split("--\n")[:-1]]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


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
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("Usage:")
    assert job.recorded() == []


@pytest.mark.parametrize(
    ("args", "environment", "message"),
    [
        (("nope", "1"), {}, "no data set 'nope'; known are digits dtd"),
        (("digits", "1", "vit"), {}, "no config 'vit' for AMU; known are rn50 tiny"),
        (("digits", "many"), {}, "SHOTS is 'many'; expected a whole number"),
        (("digits", "-1"), {}, "SHOTS is '-1'; expected a whole number"),
        (("digits", "1"), {"SEEDS": "1 two"}, "SEEDS holds 'two'; expected whole numbers"),
        (("dtd", "1"), {}, "DATA is not set, and dtd is read from it"),
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
