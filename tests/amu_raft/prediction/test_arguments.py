import subprocess
import sys

import pytest

from amu_raft.prediction.arguments import build_parser


def test_defaults() -> None:
    arguments = build_parser().parse_args(["--model", "run", "a.png", "-"])
    assert vars(arguments) == {
        "model": "run",
        "paths": ["a.png", "-"],
        "topk": 5,
        "format": "table",
        "output": None,
        "explain": None,
        "weights": None,
        "batch_size": 64,
        "workers": None,
        "device": None,
        "modules": [],
    }


@pytest.mark.parametrize("flag", ["--topk", "--batch-size", "--workers"])
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_numbers(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["--model", "run", f"{flag}={value}", "a.png"])
    assert stop.value.code == 2 and f"a whole number from 1 is wanted, got {value!r}" in capsys.readouterr().err


def test_help_needs_no_torch() -> None:
    code = "import sys, predict; sys.modules.get('torch') and sys.exit('torch'); predict.main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "exit status: 0 if at least one picture was read" in done.stdout
