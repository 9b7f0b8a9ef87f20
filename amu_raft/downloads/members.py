"""What archives hold, and which names may be written."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

LONGEST_NAME = 255  # bytes of one part of a path, on all common file systems
LONGEST_PATH = 2048
CLUTTER = ("__MACOSX", ".DS_Store")  # what macOS adds to archives


class UnsafeArchive(ValueError):  # noqa: N818  the message is a finding about a file
    """An archive asks for something that no data set needs: to write elsewhere, a device, far more than it weighs."""


class DamagedArchive(ValueError):  # noqa: N818  the message is a finding about a file
    """An archive cannot be read to its end."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    Attributes:
        name: As the archive has it.
        kind: Hard links name their target from the top of the archive, symbolic ones from the link's folder.
        size: Bytes as declared.
        target: Of a link.
    """

    name: str
    kind: Literal["file", "folder", "symlink", "hardlink"]
    size: int = 0
    target: str = ""


class Reader(Protocol):
    """Goes once through the members of an archive, in their order."""

    def members(self) -> Iterator[Member]:
        """Yield every member.

        Raises:
            UnsafeArchive: At a member that is neither file, folder nor link.
            DamagedArchive: Where the archive cannot be read, or ends too early.
        """

    def content(self) -> Iterator[bytes]:
        """Yield the bytes of the file that ``members`` yielded last.

        Raises:
            DamagedArchive: If they cannot be read.
        """

    def position(self) -> int:
        """Return how many bytes of the archive have been read."""


def split_name(name: str) -> tuple[str, ...]:
    """Return the parts of a member's name; none for the top folder itself.

    Raises:
        UnsafeArchive: If the name leads out of the folder or cannot be written everywhere.
    """
    shown = repr(name if len(name) <= 200 else f"{name[:200]}...")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or "\\" in name or "\0" in name:
        raise UnsafeArchive(f"the name {shown} is not relative with plain slashes")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UnsafeArchive(f"the name {shown} leads out of the folder")
    try:
        encoded = [part.encode("utf-8") for part in parts]
    except UnicodeEncodeError:
        raise UnsafeArchive(f"the name {shown} is in no known encoding") from None
    if any(len(part) > LONGEST_NAME for part in encoded) or len(name) > LONGEST_PATH:
        raise UnsafeArchive(f"the name {shown} is too long")
    return parts


def is_clutter(parts: tuple[str, ...]) -> bool:
    """Tell whether a member is what macOS adds to archives."""
    return bool(parts) and (any(part in CLUTTER for part in parts) or parts[-1].startswith("._"))


def link_target(parts: tuple[str, ...], member: Member) -> tuple[str, ...]:
    """Return the parts of the path that a link leads to.

    Args:
        parts: Of the link's own name.
        member: The link.

    Raises:
        UnsafeArchive: If it leads out of the folder.
    """
    if member.kind == "hardlink":
        return split_name(member.target)
    if member.target.startswith("/") or "\\" in member.target or "\0" in member.target:
        raise UnsafeArchive(f"the link {member.name!r} leads out of the folder, to {member.target!r}")
    path = os.path.normpath("/".join([*parts[:-1], member.target]))
    if path == ".." or path.startswith("../"):
        raise UnsafeArchive(f"the link {member.name!r} leads out of the folder, to {member.target!r}")
    return split_name(path)
