"""Write the members of an archive below a folder, within limits."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from amu_raft.downloads.members import (
    DamagedArchive,
    Member,
    Reader,
    UnsafeArchive,
    is_clutter,
    link_target,
    split_name,
)

Parts = tuple[str, ...]


@dataclass
class Budget:
    """What an archive may still unpack to.

    Attributes:
        bytes_left: Of files.
        members_left: Files, folders and links.
    """

    bytes_left: int
    members_left: int

    def take(self, size: int, name: str) -> None:
        """Account for one member.

        Raises:
            UnsafeArchive: If that is too much.
            DamagedArchive: If the size is none.
        """
        if size < 0:
            raise DamagedArchive(f"{name!r} declares {size} bytes")
        self.members_left -= 1
        self.bytes_left -= size
        if self.members_left < 0:
            raise UnsafeArchive(f"it holds too many members (the first too many is {name!r})")
        if self.bytes_left < 0:
            raise UnsafeArchive(f"it unpacks to far more than its own size (at {name!r}, with {size} bytes)")


@dataclass
class Unpacker:
    """Writes members as plain files and folders: no links, no owners, no special modes.

    Attributes:
        folder: An empty one.
        budget: What may be written.
        show: Called after each block.
    """

    folder: Path
    budget: Budget
    show: Callable[[], None] = lambda: None
    _names: dict[Parts, str] = field(default_factory=dict)  # the kind of everything that was seen
    _links: dict[Parts, tuple[Parts, Member]] = field(default_factory=dict)

    def write_all(self, reader: Reader) -> None:
        """Write every member, then copies in place of the links, whose targets may come after them.

        Raises:
            UnsafeArchive: At the first member that may not be written.
            DamagedArchive: If the archive cannot be read, or contradicts itself.
            OSError: If the disk does not take it.
        """
        for member in reader.members():
            parts = split_name(member.name)
            self.budget.take(member.size, member.name)
            if not parts or is_clutter(parts):
                continue
            self._enter(parts, member)
            if member.kind == "folder":
                self.folder.joinpath(*parts).mkdir(parents=True, exist_ok=True)
            elif member.kind == "file":
                self._write_file(parts, member, reader)
            else:
                self._links[parts] = (link_target(parts, member), member)
        self._copy_links()

    def _enter(self, parts: Parts, member: Member) -> None:
        """Note a name. Archives that were added to hold some twice, and then the last one counts.

        Raises:
            DamagedArchive: If it was a folder and is none now or the other way round, or would have to lie in something
                that is no folder.
        """
        for depth in range(1, len(parts)):
            if self._names.setdefault(parts[:depth], "folder") != "folder":
                raise DamagedArchive(f"{member.name!r} would lie in {'/'.join(parts[:depth])!r}, which is no folder")
        before = self._names.get(parts)
        if before not in (None, member.kind) and "folder" in (before, member.kind):
            raise DamagedArchive(f"it holds {member.name!r} twice, as a {before} and as a {member.kind}")
        if before == "file":
            self.folder.joinpath(*parts).unlink()
        self._links.pop(parts, None)
        self._names[parts] = member.kind

    def _write_file(self, parts: Parts, member: Member, reader: Reader) -> None:
        path = self.folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with path.open("xb") as file:
            for chunk in reader.content():
                written += len(chunk)
                if written > member.size:
                    raise UnsafeArchive(f"{member.name!r} holds more than the {member.size} bytes it declares")
                file.write(chunk)
                self.show()
        if written != member.size:
            raise DamagedArchive(f"{member.name!r} ends after {written} of {member.size} bytes")

    def _copy_links(self) -> None:
        """Copy what links lead to, until nothing is left: links may lead to links.

        Raises:
            DamagedArchive: If a link leads nowhere.
        """
        while self._links:
            ready = [parts for parts, (target, _) in self._links.items() if self._is_complete(target)]
            if not ready:
                _, member = next(iter(self._links.values()))
                raise DamagedArchive(f"the link {member.name!r} leads nowhere or to itself, to {member.target!r}")
            for parts in ready:
                target, member = self._links.pop(parts)
                self._copy(self.folder.joinpath(*target), self.folder.joinpath(*parts), member)

    def _is_complete(self, target: Parts) -> bool:
        """Tell whether a path is written, with everything below it."""
        path = self.folder.joinpath(*target)
        return path.is_file() or (path.is_dir() and not any(link[: len(target)] == target for link in self._links))

    def _copy(self, source: Path, path: Path, member: Member) -> None:
        items = [source] if source.is_file() else sorted(source.rglob("*"))
        for item in items:
            self.budget.take(item.stat().st_size if item.is_file() else 0, member.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            shutil.copyfile(source, path)
        else:
            shutil.copytree(source, path, copy_function=shutil.copyfile)
