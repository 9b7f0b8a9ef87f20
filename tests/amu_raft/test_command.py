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
    need_packages(["torch"], "requirements.txt")
    with pytest.raises(ImportError, match=r"a_package_of_nobody not installed: pip install .* -r requirements-x\.txt"):
        need_packages(["torch", "a_package_of_nobody"], "requirements-x.txt")


def test_the_wrong_python_is_told_where_the_right_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(lambda: fail(ModuleNotFoundError("No module named 'torch'"))) == 1
    assert capsys.readouterr().err.startswith("error: No module named 'torch'; set up by `make setup`")
