"""One stored array: read in slices, and checked before it is used."""

import hashlib
import json
import math
import os
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FORMAT = 1
DATA_FILE = "rows.npy"
MANIFEST_FILE = "manifest.json"
BLOCK = 1 << 22
SETTLED_NS = 2_000_000_000  # clocks of file systems are coarse: two changes within their tick have one time
MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_verified: dict[Path, tuple[int, int, int, str]] = {}  # what has been hashed in this process


class DamagedEntryError(ValueError):
    """A stored array is not what was written: cut short, changed, or without its manifest."""


class Entry:
    """A stored array of N rows.

    The file stays open, so the rows can be read even after another process has evicted the entry.

    Args:
        folder: Where it lies.
        manifest: What was noted when it was written: key, description, shape, dtype, header, bytes, sha256.

    Raises:
        DamagedEntryError: If the rows are missing or not of the noted size.
        OSError: If they may not be opened.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.path = folder / DATA_FILE
        self.shape: tuple[int, ...] = tuple(manifest["shape"])
        self._dtype = np.dtype(manifest["dtype"])
        try:
            self._file = os.open(self.path, os.O_RDONLY)
        except MISSING as error:
            raise DamagedEntryError(f"{self.path} is missing") from error
        self.close = weakref.finalize(self, os.close, self._file)
        size = os.fstat(self._file).st_size
        if size != manifest["bytes"]:
            self.close()
            raise DamagedEntryError(f"{self.path} has {size} bytes, expected {manifest['bytes']}")

    @property
    def num_bytes(self) -> int:
        """Size of the rows on disk, in bytes."""
        return int(self.manifest["bytes"])

    def rows(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return rows ``start`` to ``stop`` as a tensor of its own, (stop - start, ...); limits as in a slice.

        They are read, not mapped, so memory holds these rows and no others.

        Raises:
            DamagedEntryError: If the file has become shorter.
        """
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        array = np.empty((max(stop - start, 0), *self.shape[1:]), self._dtype)
        begin = self.manifest["header"] + start * math.prod(self.shape[1:]) * self._dtype.itemsize
        buffer, done = array.reshape(-1).view(np.uint8).data, 0
        while done < len(buffer):
            # At a position, so that threads and forked workers that share the open file do not move each other.
            count = os.preadv(self._file, [buffer[done:]], begin + done)
            if count == 0:
                raise DamagedEntryError(f"{self.path} has become shorter while it was read")
            done += count
        return torch.from_numpy(array)

    def verify(self) -> None:
        """Compare the file with the checksum that was noted when it was written.

        Each state of the file is hashed once in a process.

        Raises:
            DamagedEntryError: If they differ, or the disk cannot read the file.
        """
        expected = self.manifest["sha256"]
        state = os.fstat(self._file)
        seen = (state.st_ino, state.st_size, state.st_mtime_ns, expected)
        if _verified.get(self.path) == seen:
            return
        try:
            found = self._sha256()
        except OSError as error:
            raise DamagedEntryError(f"{self.path} cannot be read ({error.strerror})") from error
        if found != expected:
            raise DamagedEntryError(f"{self.path} has sha256 {found}, expected {expected}")
        if abs(time.time_ns() - state.st_mtime_ns) > SETTLED_NS:
            _verified[self.path] = seen

    def _sha256(self) -> str:
        digest, position = hashlib.sha256(), 0
        while block := os.pread(self._file, BLOCK, position):
            digest.update(block)
            position += len(block)
        return digest.hexdigest()


def key_of(description: Mapping[str, Any]) -> str:
    """Return the key of a description: 64 hexadecimal digits, equal exactly if the descriptions are equal as JSON."""
    return checksum(json.loads(json.dumps(description)))  # there and back, or numbers as keys would sort otherwise


def checksum(content: Any) -> str:
    """Return the sha256 of JSON content, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def seal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with a checksum of itself."""
    plain = json.loads(json.dumps(dict(manifest)))
    return {**plain, "checksum": checksum(plain)}


def read_entry(folder: Path) -> Entry:
    """Open an entry; its rows are not hashed.

    Raises:
        FileNotFoundError: If there is no such entry, or another process replaces it in this moment.
        DamagedEntryError: If it is damaged, of another format, or another key's.
        OSError: If it may not be read.
    """
    before = _inode(folder)
    if before is None:
        raise FileNotFoundError(f"no entry {folder}")
    try:
        return Entry(folder, _read_manifest(folder))
    except DamagedEntryError as error:
        if _inode(folder) != before:
            raise FileNotFoundError(f"no entry {folder} any more") from error
        raise


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except MISSING as error:
        raise DamagedEntryError(f"{path} is missing") from error
    except ValueError as error:
        raise DamagedEntryError(f"{path} is no JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DamagedEntryError(f"{path} is no manifest of format {FORMAT}")
    if manifest.pop("checksum", None) != checksum(manifest):
        raise DamagedEntryError(f"{path} was changed after it was written")
    if manifest["key"] != folder.name:
        raise DamagedEntryError(f"{path} belongs to the entry {manifest['key']}")
    return manifest


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except MISSING:
        return None
