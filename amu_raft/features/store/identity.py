"""What features depend on apart from encoder and transform: the images, and the libraries that make pixels."""

import hashlib
import os
import stat
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amu_raft.progress import progress

LIBRARIES = ("pillow", "torchvision", "torch")
BLOCK = 1 << 20


def image_identity(paths: Sequence[str], *, strict: bool) -> dict[str, Any]:
    """Describe a list of images, so that another list, order or content has another description.

    Args:
        paths: The images, in the order of their features.
        strict: Read every image, instead of trusting that an image whose size and time stay has not changed.

    Returns:
        ``count``, ``identity`` ("content" or "stat") and ``digest``, a sha256 over each image's path and content, or
        over path, size and time of the last change.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    describe = _content if strict else _state
    digest = hashlib.sha256()
    for path in progress(paths, "check images"):
        try:
            # No path holds a zero byte, so no two lists give the same text.
            digest.update(b"%s\0%s\0" % (os.fsencode(path), describe(path).encode()))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(f"no image {path}") from None
    return {"count": len(paths), "identity": "content" if strict else "stat", "digest": digest.hexdigest()}


def library_versions() -> dict[str, str]:
    """Return the installed versions of what decodes and resizes images and runs encoders."""
    return {name: version(name) for name in LIBRARIES}


def _state(path: str) -> str:
    state = os.stat(path)  # noqa: PTH116 - a Path for each of a million images takes longer than the call
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(path)
    return f"{state.st_size} {state.st_mtime_ns}"


def _content(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
