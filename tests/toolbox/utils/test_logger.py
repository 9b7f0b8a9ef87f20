import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dassl.utils import Logger, log_to, restore_stdout, setup_logger


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    yield
    restore_stdout()


def test_printed_text_goes_to_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup_logger(None)
    print("zero")
    setup_logger(str(tmp_path / "run"))
    print("one")
    sys.stdout.writelines(["two", "\n"])
    sys.stdout.flush()
    assert capsys.readouterr().out == "zero\none\ntwo\n"
    assert (tmp_path / "run" / "log.txt").read_text() == "one\ntwo\n"


def test_second_logger_replaces_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = sys.stdout
    setup_logger(str(tmp_path / "a"))
    print("a")
    setup_logger(str(tmp_path / "b.log"))
    print("b")
    assert isinstance(sys.stdout, Logger)
    assert sys.stdout.console == console
    restore_stdout()
    restore_stdout()
    print("c")
    assert sys.stdout is console
    assert capsys.readouterr().out == "a\nb\nc\n"
    assert (tmp_path / "a" / "log.txt").read_text() == "a\n"
    assert (tmp_path / "b.log").read_text() == "b\n"


def test_existing_logs_are_kept(tmp_path: Path) -> None:
    for text in "abc":
        with log_to(str(tmp_path)):
            print(text)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [bool(re.fullmatch(r"log\.txt-\d{4}(-\d\d){5}(\.\d+)?", name)) for name in names] == [False, True, True]
    assert sorted((tmp_path / name).read_text() for name in names) == ["a\n", "b\n", "c\n"]


def test_log_to_nothing_keeps_an_outer_log(tmp_path: Path) -> None:
    with log_to(str(tmp_path)):
        with log_to(None):
            pass
        print("still logged")
    assert (tmp_path / "log.txt").read_text() == "still logged\n"


def test_log_to_ends_after_an_error(tmp_path: Path) -> None:
    console = sys.stdout

    def fail() -> None:
        with log_to(str(tmp_path)):
            raise RuntimeError("x")

    with pytest.raises(RuntimeError):
        fail()
    assert sys.stdout is console


def test_logger_stands_in_for_the_console(tmp_path: Path) -> None:
    console = sys.stdout
    with Logger(str(tmp_path / "x.log")) as logger:
        assert logger.write("four") == 4
        assert logger.encoding == console.encoding
        assert logger.isatty() == console.isatty()
        with pytest.raises(AttributeError):
            logger.nonsense  # noqa: B018
        logger.flush()
        logger.close()
        logger.close()
        logger.write("console only")
        logger.flush()
    assert not console.closed
    assert (tmp_path / "x.log").read_text() == "four"


def test_logger_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    logger = Logger()
    print("text", file=logger)
    logger.restore()
    assert capsys.readouterr().out == "text\n"


def test_unfinished_logger_has_no_console() -> None:
    with pytest.raises(AttributeError, match="console"):
        Logger.__new__(Logger).isatty()


def test_bare_file_name_and_collected_logger_in_a_real_process(tmp_path: Path) -> None:
    code = (
        "import gc, sys; from dassl.utils import setup_logger; setup_logger('x.log'); print('hi'); "
        "console = sys.stdout.console; sys.stdout = console; gc.collect(); print('on'); print(sys.stdout.fileno())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hi\non\n1\n", "")
    assert (tmp_path / "x.log").read_text() == "hi\n"


def test_unwritable_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Cannot make the folder .*file"):
        setup_logger(str(tmp_path / "file" / "run"))
