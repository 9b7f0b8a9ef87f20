"""Files that appear whole or not at all, whatever interrupts the writing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_whole(path: Path | str, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file, in place of one that is there; ``write`` puts the bytes into it. Its folder is made if missing.

    Several processes may write the same file: each writes its own temporary file beside it and the last one stays.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())  # a power cut must not leave the name without the bytes
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def replace_file(content: bytes, path: Path | str) -> None:
    """Write a file of these bytes, as ``write_whole`` does.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    write_whole(path, lambda stream: stream.write(content))
