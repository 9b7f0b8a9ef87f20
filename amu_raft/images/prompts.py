"""The file of sentences per class against the class names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amu_raft.json_file import read_json_file
from amu_raft.wording import examples, printable, reason


def describe_prompts(path: Path, classnames: Sequence[str]) -> tuple[str, str]:
    """Count the classes that a prompt file has sentences for.

    Args:
        path: JSON of class name (blanks for "_") to sentences.
        classnames: One name per class; empty if they are not known.

    Returns:
        What the table says, such as "98/100", "absent" or "damaged", and a line on what is wrong or "".
    """
    if not os.path.lexists(path):
        return "absent", ""
    try:
        content = read_json_file(path, what="prompt file")
    except (OSError, ValueError) as error:
        return "damaged", printable(reason(error))
    if not isinstance(content, dict):
        return "damaged", f"prompt file {path} does not map class names to sentences"
    usable = {name for name, sentences in content.items() if is_sentences(sentences)}
    if not classnames:
        return f"{len(usable)} keys", ""
    lacking = [name for name in classnames if name.replace("_", " ") not in usable]
    problem = f"prompt file {path} has no sentences for {examples(lacking)}" if lacking else ""
    return f"{len(classnames) - len(lacking)}/{len(classnames)}", problem


def is_sentences(value: Any) -> bool:
    """Tell whether a value is a list of texts that is not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) and text.strip() for text in value)
