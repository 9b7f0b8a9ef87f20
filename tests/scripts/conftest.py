import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
ENVIRONMENT = ("DATA", "SEEDS", "OUTPUT", "PYTHON", "OPTS", "DATASETS", "SHOTS")
NAMES = {"amu": "AMU", "raft": "RAFT", "zeroshot": "ZeroshotCLIP"}

# Stands in for Python: notes its arguments and where it would look for modules, and ends as it is told to.
STUB = """#!/usr/bin/env bash
printf '%s\\n' "$@" >> "$CALLS"; echo -- >> "$CALLS"
echo "$PYTHONPATH" > "$CALLS.path"
exit "${STATUS:-0}"
"""


DATASETS = {
    "digits": "# Needs no DATA: made here\n",
    "dtd": "# Textures\n",
    "imagenet": "# A thousand things\n",
    "imagenetv2": "# The same things\n# Evaluation only: trained on imagenet\n",
}


class Job:
    """A copy of the scripts in a repository whose path has blanks."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.calls, self.cwd = folder / "my repository", folder / "calls", folder / "elsewhere"
        self.cwd.mkdir()
        shutil.copytree(SCRIPTS, self.repository / "scripts")
        for name, text in DATASETS.items():
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
        clean = {key: value for key, value in os.environ.items() if key not in ENVIRONMENT}
        name = script if "/" in script else f"{script}/main"
        return subprocess.run(
            ["bash", str(self.repository / "scripts" / f"{name}.sh"), *args],
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
