"""The members of a zip archive."""

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from amu_raft.downloads.members import DamagedArchive, Member, UnsafeArchive

CHUNK = 1 << 20
LONGEST_TARGET = 4096
ENCRYPTED = 0x1
READ_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
    UnicodeDecodeError,
)


class ZipReader:
    """Goes through a zip in the order of its directory.

    Args:
        raw: The archive.

    Raises:
        DamagedArchive: If the directory at its end cannot be read.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        with _reading():
            self._zip = zipfile.ZipFile(raw)
        self._info: zipfile.ZipInfo | None = None

    @property
    def declared_size(self) -> int:
        """What all members together take, as the directory has it."""
        return sum(info.file_size for info in self._zip.infolist())

    def members(self) -> Iterator[Member]:
        """As ``Reader.members``."""
        for info in self._zip.infolist():
            self._info = info
            if info.flag_bits & ENCRYPTED:
                raise DamagedArchive(f"the member {info.filename!r} is encrypted")
            yield self._member(info)

    def content(self) -> Iterator[bytes]:
        """As ``Reader.content``."""
        assert self._info is not None
        with _reading():
            file = self._zip.open(self._info)
        with file:
            while True:
                with _reading():
                    chunk = file.read(CHUNK)
                if not chunk:
                    return
                yield chunk

    def position(self) -> int:
        """As ``Reader.position``."""
        return self._raw.tell()

    def _member(self, info: zipfile.ZipInfo) -> Member:
        """Translate a directory entry; the upper half of its attributes is the Unix mode, where one was stored."""
        mode = info.external_attr >> 16
        if info.is_dir() or stat.S_ISDIR(mode):
            return Member(info.filename, "folder")
        if stat.S_ISLNK(mode):
            return Member(info.filename, "symlink", target=self._target(info))
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise UnsafeArchive(f"the member {info.filename!r} is a device, a pipe or of another kind that is no file")
        return Member(info.filename, "file", info.file_size)

    def _target(self, info: zipfile.ZipInfo) -> str:
        """Read where a symbolic link leads: that is its content."""
        if info.file_size > LONGEST_TARGET:
            raise UnsafeArchive(f"the link {info.filename!r} has a target of {info.file_size} bytes")
        with _reading():
            return self._zip.read(info).decode("utf-8")


@contextmanager
def _reading() -> Iterator[None]:
    """Say of every failing read that the archive is damaged."""
    try:
        yield
    except READ_ERRORS as error:
        raise DamagedArchive(f"it cannot be read as a zip archive ({error})") from error
