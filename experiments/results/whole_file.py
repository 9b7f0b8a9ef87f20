"""Files that appear whole or not at all, written without torch, which ``dassl`` and ``datasets`` load."""

import os
from pathlib import Path


def replace_file(content: bytes, path: Path) -> None:
    """Write a file whole or not at all, in place of one that is there.

    Raises:
        OSError: If its folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
