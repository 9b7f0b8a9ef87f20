"""Standard output copied to a log file."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO

from dassl.utils.distributed import is_main
from dassl.utils.files import mkdir_if_missing


class Logger:
    """A stand-in for ``sys.stdout`` that writes to the console and to a file.

    Whatever it does not define itself (isatty, fileno, encoding, buffer...) is the console's. The console is
    never closed. As a context manager it yields itself and calls `restore` at the end.

    Args:
        fpath: The log file, made anew; None writes to the console only. Its folder is made if missing.

    Attributes:
        console: The stream that was ``sys.stdout`` when the logger was made.
        file: The log file, None without one or after `close`.
    """

    def __init__(self, fpath: str | None = None) -> None:
        self.console: TextIO = sys.stdout
        self.file: TextIO | None = None
        if fpath is not None:
            mkdir_if_missing(os.path.dirname(fpath))
            # Line buffering: a killed run leaves a log that is complete up to its last line.
            self.file = open(fpath, "w", encoding="utf-8", buffering=1)  # noqa: SIM115

    def __getattr__(self, name: str) -> Any:
        if name == "console":  # not constructed yet, as while unpickling
            raise AttributeError(name)
        return getattr(self.console, name)

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()

    def write(self, msg: str) -> int:
        """Write text to both places and return its length."""
        self.console.write(msg)
        if self.file is not None:
            self.file.write(msg)
        return len(msg)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several pieces of text to both places."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush both places."""
        self.console.flush()
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        """Close the log file; the console stays open and keeps receiving text."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def restore(self) -> None:
        """Make the console ``sys.stdout`` again, if this logger stands in for it, and close the log file."""
        if sys.stdout is self:
            sys.stdout = self.console
        self.close()


class _Silence(Logger):
    """A stand-in for ``sys.stdout`` that writes nowhere."""

    def write(self, msg: str) -> int:
        """Drop the text and return its length."""
        return len(msg)


def setup_logger(output: str | None = None) -> None:
    """Copy everything printed from now on to a log file as well.

    Of several processes that train together (see `dassl.utils.distributed`) only the main one prints and logs from
    now on.

    A second call ends the first log and starts another: loggers do not nest. `restore_stdout` ends the log
    without starting one, and `log_to` does both ends. Standard error is not logged.

    Args:
        output: A path that ends in .txt or .log is the log file, any other the folder of ``log.txt``. An
            existing file is kept: the time is appended to the new one's name. None changes nothing.
    """
    if output is None:
        return
    fpath = os.fspath(output)
    if not fpath.endswith((".txt", ".log")):
        fpath = os.path.join(fpath, "log.txt")
    logger_file = _unused_name(fpath)
    restore_stdout()
    # Typeshed wants a full TextIO; the missing methods are found on the console at run time.
    sys.stdout = Logger(logger_file) if is_main() else _Silence()  # type: ignore[assignment]


def restore_stdout() -> None:
    """Undo `setup_logger`: printing goes to the console alone and the log file is closed."""
    if isinstance(sys.stdout, Logger):
        sys.stdout.restore()


@contextmanager
def log_to(output: str | None) -> Iterator[None]:
    """Log standard output as `setup_logger` does, for the length of a ``with`` block."""
    setup_logger(output)
    try:
        yield
    finally:
        if output is not None:
            restore_stdout()


def _unused_name(fpath: str) -> str:
    """Return the path, or if it is taken the path with the time, and with a number if that is taken too."""
    if not os.path.exists(fpath):
        return fpath
    stamped = candidate = fpath + time.strftime("-%Y-%m-%d-%H-%M-%S")
    number = 1
    while os.path.exists(candidate):
        number += 1
        candidate = f"{stamped}.{number}"
    return candidate
