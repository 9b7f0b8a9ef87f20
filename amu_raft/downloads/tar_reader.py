"""The members of a tar archive, compressed or not."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO

from amu_raft.downloads.members import DamagedArchive, Member, UnsafeArchive

CHUNK = 1 << 20
RECORD = 512
# Headers of the newer formats say how much to read for one name. Names are short; memory is not endless.
LARGEST_READ = 8 * CHUNK
OPENERS: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}


class TarReader:
    """Goes through a tar from front to back, so that a compressed one is decompressed once.

    Args:
        raw: The archive, at its beginning.
        compression: "gzip", "bzip2", "xz" or "" for none.
        limit: Bytes of the tar that may be read in all.
    """

    def __init__(self, raw: BinaryIO, compression: str, *, limit: int) -> None:
        self._raw = raw
        self._stream = _Stream(OPENERS[compression](raw) if compression else raw, limit)
        self._file: IO[bytes] | None = None

    def members(self) -> Iterator[Member]:
        """As ``Reader.members``."""
        try:
            with tarfile.open(fileobj=self._stream, mode="r:", errorlevel=1) as tar:  # type: ignore[call-overload]
                while (info := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # or a million of them stay in memory
                    self._file = tar.extractfile(info) if info.isreg() else None
                    yield _member(info)
                self._check_end()
        except (tarfile.TarError, UnicodeError) as error:
            raise DamagedArchive(f"it cannot be read as a tar archive ({error})") from error

    def content(self) -> Iterator[bytes]:
        """As ``Reader.content``."""
        assert self._file is not None
        try:
            while chunk := self._file.read(CHUNK):
                yield chunk
        except tarfile.TarError as error:
            raise DamagedArchive(f"it ends too early ({error})") from error

    def position(self) -> int:
        """As ``Reader.position``."""
        return self._raw.tell()

    def _check_end(self) -> None:
        """Make sure that the members end with an empty record, and read on to the checksum of the compression.

        tarfile takes a header that is cut or garbled for the end, and says nothing.

        Raises:
            DamagedArchive: If the archive was cut.
        """
        if self._stream.last_read != bytes(RECORD):
            raise DamagedArchive("it ends too early (no end-of-archive mark after the last member)")
        while self._stream.read(CHUNK):
            pass


class _Stream(io.RawIOBase):
    """A file whose failing reads say that the archive is damaged, and that bounds what is read of it."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.last_read = b""

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LARGEST_READ:
            raise UnsafeArchive(f"a header asks for {size} bytes at once")
        self.last_read = self._guard(lambda: self._file.read(size))
        if self._file.tell() > self._limit:
            raise UnsafeArchive(f"it unpacks to more than {self._limit} bytes")
        return self.last_read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._guard(lambda: self._file.seek(offset, whence)))

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    @staticmethod
    def _guard(read: Any) -> Any:
        try:
            return read()
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise DamagedArchive(f"it cannot be decompressed to its end ({error})") from error


def _member(info: tarfile.TarInfo) -> Member:
    """Translate a header.

    Raises:
        UnsafeArchive: If it is a device, a pipe or something else that is no data.
    """
    if info.isreg():
        return Member(info.name, "file", info.size)
    if info.isdir():
        return Member(info.name, "folder")
    if info.issym():
        return Member(info.name, "symlink", target=info.linkname)
    if info.islnk():
        return Member(info.name, "hardlink", target=info.linkname)
    raise UnsafeArchive(f"the member {info.name!r} is a device, a pipe or of another kind that is no file")
