import subprocess
import sys
from pathlib import Path

import pytest

from amu_raft.command import carry_out, need_packages


def fail(error: BaseException) -> int:
    raise error


def test_the_exit_status_is_the_works() -> None:
    assert carry_out(lambda: None) == 0 and carry_out(lambda: 3) == 3


@pytest.mark.parametrize("error", [ValueError("two\nlines"), ImportError("two lines"), OSError("two lines")])
def test_an_error_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(lambda: fail(error)) == 1
    assert capsys.readouterr().err == "error: two lines\n"


def test_a_traceback_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMU_RAFT_TRACEBACK", "1")
    with pytest.raises(ValueError, match="wrong"):
        carry_out(lambda: fail(ValueError("wrong")))


def test_control_c_has_its_own_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(lambda: fail(KeyboardInterrupt()), stopped="stopped; goes on") == 130
    assert carry_out(lambda: fail(KeyboardInterrupt()), interrupted=0) == 0
    assert capsys.readouterr().err == "stopped; goes on\nstopped\n"


def test_defects_are_not_hidden() -> None:
    with pytest.raises(AttributeError):
        carry_out(lambda: fail(AttributeError()))


def test_packages_that_are_missing_are_named() -> None:
    need_packages(["torch"], "serve")
    expected = r"a_package_of_nobody not installed: pip install '\.\[x\]' in the folder .* -r requirements-x\.txt"
    with pytest.raises(ImportError, match=expected):
        need_packages(["torch", "a_package_of_nobody"], "x")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("torch", "set up by `make setup`"), ("dassl", "the toolbox is not installed"), ("dassl.utils", "the toolbox")],
)
def test_a_module_that_is_missing_is_told_with_a_remedy(
    name: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carry_out(lambda: fail(ModuleNotFoundError(f"No module named {name!r}", name=name))) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: No module named {name!r}; {expected}")


def test_the_classifier_without_the_toolbox_says_so() -> None:
    code = "import sys; sys.modules['dassl'] = None; import amu_raft; amu_raft.FewShotClassifier"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 1 and done.stderr.splitlines()[-1].endswith("pip install ./toolbox .")
