"""The repository's own train.py as a process of its own, and the parser of its logs."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dassl.utils import restore_stdout

PROJECT = Path(__file__).parent / "project"
Start = Callable[..., Callable[[], str]]


@pytest.fixture
def start(environment: dict[str, str], arguments: Callable[..., list[str]], tmp_path: Path) -> Start:
    """Start a run; what is returned waits for its end and gives the text that it printed."""

    def call(trainer: str, folder: Path, *flags: str, **keys: Any) -> Callable[[], str]:
        command = [sys.executable, str(PROJECT / "train.py"), *arguments(trainer, folder, *flags, **keys)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, **pipes)

        def wait() -> str:
            out, err = process.communicate()
            assert process.returncode == 0, err
            return str(out)

        return wait

    return call


@pytest.fixture(scope="module")
def parse() -> Callable[..., tuple[float, list[float]]]:
    spec: Any = importlib.util.spec_from_file_location("parse_log", PROJECT / "parse_log.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parse: Callable[..., tuple[float, list[float]]] = module.parse
    return parse


def test_train_resume_evaluate_parse(
    start: Start,
    parse: Callable[..., tuple[float, list[float]]],
    accuracies: Callable[[str], list[float]],
    rates: Callable[[str], dict[int, list[str]]],
    tmp_path: Path,
) -> None:
    folder, elsewhere = tmp_path / "training" / "seed1", tmp_path / "evaluation" / "seed1"
    trained = start("Prompts", folder, OPTIM__MAX_EPOCH=2)()
    log = (folder / "log.txt").read_text()
    assert log == trained.partition("Setting fixed seed: 1\n")[2]
    assert log.index("** Arguments **\n") < log.index("** Config **\n") < log.index("** System info **\n")
    assert re.search(r"^Loading trainer: Prompts\nLoading dataset: Blobs$", log, re.MULTILINE)
    assert "Pillow (" in log and re.search(r"^# train_x +14$", log, re.MULTILINE)

    wait_for_resumed = start("Prompts", folder, OPTIM__MAX_EPOCH=3)
    wait_for_evaluated = start("Prompts", elsewhere, "--eval-only", "--model-dir", str(folder), "--load-epoch", "2")
    resumed, evaluated = wait_for_resumed(), wait_for_evaluated()
    (later,) = folder.glob("log.txt-*")
    assert re.fullmatch(r"log\.txt-\d{4}(-\d\d){5}", later.name)
    assert f"Found checkpoint at {folder} (will resume training)" in later.read_text()
    assert (folder / "log.txt").read_text() == log
    assert (list(rates(trained)), list(rates(resumed))) == ([1, 2], [3])
    assert len(accuracies(trained)) == 1
    assert accuracies(evaluated) == accuracies(trained)
    assert sorted(path.name for path in elsewhere.iterdir()) == ["log.txt"]

    assert parse(folder.parent) == (accuracies(trained)[-1], accuracies(trained))
    assert parse(elsewhere.parent, "=> result") == (accuracies(evaluated)[-1], accuracies(evaluated))
    with pytest.raises(AssertionError, match="nothing after 'Finish training'"):
        parse(elsewhere.parent)


@pytest.mark.usefixtures("registered")
def test_no_train_leaves_no_checkpoint(
    project: Any, arguments: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        project.main(project.parse_args(arguments("TwoParts", tmp_path / "run", "--no-train")))
    finally:
        restore_stdout()
    text = capsys.readouterr().out
    assert "# params: " in text and "Finish training" not in text
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["log.txt"]
