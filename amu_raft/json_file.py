"""JSON files that are written whole or not at all, and whose damage is named."""

import json
from pathlib import Path
from typing import Any

from amu_raft.whole_file import replace_file


def read_json_file(path: Path | str, *, what: str) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        what: Noun for messages, such as "split file".

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no {what} {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark of its encoding
    except (ValueError, RecursionError) as error:  # the latter for lists in lists in lists
        raise ValueError(
            f"{what} {path} is damaged, no JSON can be read from it ({error}); remove or restore it"
        ) from error


def write_json_file(content: Any, path: Path | str) -> None:
    """Write JSON as CoOp does (indent 4, no newline at the end), replacing the file in one step.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    replace_file(json.dumps(content, indent=4, separators=(",", ": ")).encode(), path)
