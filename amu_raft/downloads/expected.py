"""What is known of a file before it is there, and the comparison once it is."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amu_raft.downloads.progress import byte_bar

BLOCK = 1 << 20

# How to start each digest for a file of so many bytes. The old ones are what the sources publish; they tell damage
# from wholeness here and protect nothing.
DIGESTS: dict[str, Callable[[int], Any]] = {
    "md5": lambda size: hashlib.md5(usedforsecurity=False),
    "sha256": lambda size: hashlib.sha256(),
    "git_blob_sha1": lambda size: hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False),
}


class WrongContent(ValueError):  # noqa: N818  the message is a finding about a file
    """A file is not the expected one.

    Attributes:
        difference: What was found and what was expected, without the file's name.
    """

    def __init__(self, path: Path, difference: str) -> None:
        super().__init__(f"{path} is not the expected file: {difference}")
        self.difference = difference


@dataclass(frozen=True)
class Expected:
    """What is known of a file; None where it is not known.

    Attributes:
        size: Bytes.
        md5: Of the content, hexadecimal.
        sha256: Of the content, hexadecimal.
        git_blob_sha1: The name git gives to this content, hexadecimal.
        at_most: Bytes that the file surely does not exceed, where its size is not known.
    """

    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    git_blob_sha1: str | None = None
    at_most: int | None = None

    @property
    def digests(self) -> dict[str, str]:
        """The known digests by kind, in lower case."""
        return {kind: value.lower() for kind in DIGESTS if (value := getattr(self, kind)) is not None}


NOTHING_KNOWN = Expected()


def verify_file(path: Path, expected: Expected, *, progress: bool = False) -> None:
    """Compare a file with what is known of it; the file is read once, and not at all if its size is wrong.

    Args:
        path: The file.
        expected: What is known. Where nothing is, every file passes.
        progress: Whether to show a bar.

    Raises:
        WrongContent: Naming the file, what was found and what was expected.
        OSError: If the file cannot be read.
    """
    size = path.stat().st_size
    if expected.size is not None and size != expected.size:
        raise WrongContent(path, f"{size} bytes, expected {expected.size}")
    if expected.size is None and expected.at_most is not None and size > expected.at_most:
        raise WrongContent(path, f"{size} bytes, expected at most {expected.at_most}")
    if not expected.digests:
        return
    found = read_digests(path, list(expected.digests), progress=progress)
    wrong = [
        f"{kind} {found[kind]}, expected {value}" for kind, value in expected.digests.items() if found[kind] != value
    ]
    if wrong:
        raise WrongContent(path, "; ".join(wrong))


def read_digests(path: Path, kinds: list[str], *, progress: bool = False) -> dict[str, str]:
    """Return digests of a file by kind (the keys of ``DIGESTS``), hexadecimal."""
    size = path.stat().st_size
    running = {kind: DIGESTS[kind](size) for kind in kinds}
    bar = byte_bar(f"Checking {path.name}", size) if progress else None
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            for digest in running.values():
                digest.update(block)
            if bar is not None:
                bar.update(len(block))
    if bar is not None:
        bar.close()
    return {kind: digest.hexdigest() for kind, digest in running.items()}
