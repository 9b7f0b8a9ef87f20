"""Unpack an archive from the network into a new folder, trusting nothing it says."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from amu_raft.downloads.members import DamagedArchive, UnsafeArchive
from amu_raft.downloads.part_file import check_space, local_errors, one_process
from amu_raft.downloads.progress import byte_bar
from amu_raft.downloads.tar_reader import TarReader
from amu_raft.downloads.unpacking import Budget, Unpacker
from amu_raft.downloads.zip_reader import ZipReader

__all__ = ["DamagedArchive", "UnsafeArchive", "detect", "unpack"]

LEAST_LIMIT = 64 << 20  # small archives of text may shrink by any factor
MAX_MEMBERS = 1_000_000
COMPRESSIONS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"))
ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
TAR_MARK = slice(257, 262)
HEADER = 512


def unpack(
    archive: Path, folder: Path, *, limit_ratio: float = 20.0, max_members: int = MAX_MEMBERS, title: str = ""
) -> None:
    """Unpack a zip or a tar (plain, gzip, bzip2, xz), told apart by content; all of it or nothing.

    Members become plain files and folders. Links that stay inside become copies; what macOS adds is left out; archives
    inside the archive stay as they are.

    Args:
        archive: The file.
        folder: Where to; it must not exist or be empty. It appears in one step when everything is unpacked.
        limit_ratio: How many times its own size the archive may unpack to; 64 MiB are always allowed.
        max_members: How many files, folders and links it may hold.
        title: What the progress bar says; the archive's name if empty.

    Raises:
        UnsafeArchive: If a member would be written elsewhere, is a device or a pipe, or the limits are passed.
        DamagedArchive: If it is no archive, cannot be read to its end or contradicts itself.
        FileExistsError: If the folder holds something.
        OSError: If there is no archive, or the disk does not take what it holds.
    """
    if not archive.is_file():
        raise FileNotFoundError(f"no archive {archive}")
    limit = max(LEAST_LIMIT, int(limit_ratio * archive.stat().st_size))
    with local_errors(folder), _new_folder(folder) as new, archive.open("rb") as raw:
        try:
            _unpack(raw, archive, new, Budget(limit, max_members), title or archive.name)
        except (UnsafeArchive, DamagedArchive) as error:
            verb = "is refused" if isinstance(error, UnsafeArchive) else "is damaged"
            raise type(error)(f"archive {archive} {verb}: {error}") from error


def _unpack(raw: BinaryIO, archive: Path, folder: Path, budget: Budget, title: str) -> None:
    """Unpack an open archive into an empty folder."""
    kind = detect(raw)
    size = archive.stat().st_size
    reader: ZipReader | TarReader
    if kind == "zip":
        reader = ZipReader(raw)
        Budget(budget.bytes_left, 1).take(reader.declared_size, archive.name)
        check_space(folder, reader.declared_size, archive)
    else:
        # The tar itself is larger than what it holds: headers, and a fill to whole records.
        reader = TarReader(raw, kind.removeprefix("tar").strip("."), limit=2 * budget.bytes_left + LEAST_LIMIT)
        check_space(folder, size, archive)
    with byte_bar(f"Unpacking {title}", size) as bar:

        def show() -> None:
            bar.update(max(0, reader.position() - bar.n))

        Unpacker(folder, budget, show).write_all(reader)


def detect(raw: BinaryIO) -> str:
    """Tell by its first bytes what an archive is; names lie (a plain tar may be called .tar.gz).

    Returns:
        "zip", "tar", or "tar." with "gzip", "bzip2" or "xz". ``raw`` is at its beginning again.

    Raises:
        DamagedArchive: If it is neither.
    """
    raw.seek(0)
    start = raw.read(HEADER)
    raw.seek(0)
    if start.startswith(ZIP_STARTS):
        return "zip"
    for mark, name in COMPRESSIONS:
        if start.startswith(mark):
            return f"tar.{name}"
    if start[TAR_MARK] == b"ustar" or _is_old_header(start):
        return "tar"
    raise DamagedArchive(f"it is no zip or tar archive (it begins with {start[:16]!r})")


def _is_old_header(start: bytes) -> bool:
    """Tell by its sum whether this is the header of a tar from before the mark: its own field counts as spaces."""
    field = start[148:156].strip(b"\0 ")
    total = sum(start[:148]) + 8 * ord(" ") + sum(start[156:HEADER])
    try:
        return len(start) == HEADER and int(field, 8) == total
    except ValueError:
        return False


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the name ``folder`` when the block ends well and is removed when it does not.

    Raises:
        FileExistsError: If there is something of that name already.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.partial")
    with one_process(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(f"{folder} exists and is not empty; move it away or choose another folder")
        shutil.rmtree(new, ignore_errors=True)  # of a process that was killed: this one has the lock
        new.mkdir()
        try:
            yield new
            if folder.exists():
                folder.rmdir()  # not every system replaces a folder, even an empty one
            new.replace(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
