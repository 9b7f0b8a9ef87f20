"""Files that appear whole or not at all, whatever interrupts the writing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO


def write_whole(path: Path | str, write: Callable[[IO[bytes]], object], *, make_folder: bool = True) -> None:
    """Write a file, in place of one that is there.

    Several processes may write the same file: each writes its own temporary file beside it and the last one stays.

    Args:
        path: The file.
        write: Puts the bytes into it.
        make_folder: Whether its folder is made if there is none.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    path = Path(path)
    if make_folder:
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


def replace_file(content: bytes, path: Path | str, *, make_folder: bool = True) -> None:
    """Write a file of these bytes, as ``write_whole`` does.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    write_whole(path, lambda stream: stream.write(content), make_folder=make_folder)
