"""Where rows go: standard output, or a file that takes its name when it is whole."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

# What UTF-8 cannot hold, bytes of a file name that are no text, becomes \udcXX: JSON's own form.
_ODD_BYTES = "backslashreplace"


@contextmanager
def open_sink(output: str | None, *, for_programs: bool) -> Iterator[IO[str]]:
    """Open where rows go.

    Args:
        output: A file; None for standard output. Until it is whole it is called FILE.partial, and what is in that
            stays if the work is interrupted. A pipe or a device is written to as it is; a link leads to its file.
        for_programs: Whether standard output is UTF-8 whatever the terminal's encoding is.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If standard output is closed.
    """
    if output is None:
        if sys.stdout is None:
            raise ValueError("standard output is closed; give --output FILE")
        if isinstance(sys.stdout, io.TextIOWrapper):
            encoding = "utf-8" if for_programs else None
            sys.stdout.reconfigure(encoding=encoding, errors=_ODD_BYTES, newline="\n")
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(output)
    if path.is_dir():
        raise IsADirectoryError(f"--output {output} is a folder; give a file")
    if path.exists() and not path.is_file():  # to put a file in the place of /dev/null would harm the machine
        with path.open("w", encoding="utf-8", errors=_ODD_BYTES, newline="") as stream:
            yield stream
        return
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors=_ODD_BYTES, newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        if partial.exists() and partial.stat().st_size:
            print(f"what was done so far is in {partial}", file=sys.stderr)
        raise
    partial.replace(path)
