"""Writing one stored array, batch by batch, so that memory holds one batch."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor

from amu_raft.features.store.entry import DATA_FILE, FORMAT, MANIFEST_FILE, seal

# What numpy and torch both have; bfloat16 is not among them.
TYPES = ("float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")


class EntryWriter:
    """Writes an entry into a folder of its own, which is removed on leaving unless it has been moved away.

    Args:
        folder: Where to write; must not exist.
        key: The entry's key.
        description: What the key stands for.
        num_rows: How many rows will come.
    """

    def __init__(self, folder: Path, *, key: str, description: Mapping[str, Any], num_rows: int) -> None:
        self.folder = folder
        self.key = key
        self.description = description
        self.num_rows = num_rows
        self.written = 0
        self._stream: BinaryIO | None = None
        self._shape: tuple[int, ...] = ()
        self._type = ""
        self._digest = hashlib.sha256()
        self._header = 0

    def __enter__(self) -> "EntryWriter":
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            with suppress(OSError):  # on a full disk, closing fails as the writing did
                self._stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def append(self, rows: Tensor) -> None:
        """Write some rows, (B, ...).

        Raises:
            ValueError: If they differ from the first ones in shape or type, are more than announced, or of a type
                that cannot be stored.
            OSError: If they cannot be written.
        """
        name = str(rows.dtype).removeprefix("torch.")
        if name not in TYPES:
            raise ValueError(f"features of type {name} cannot be stored; convert them to one of {', '.join(TYPES)}")
        array = rows.detach().cpu().contiguous().numpy()
        if self._stream is None:
            self._begin(array)
        if (array.shape[1:], name) != (self._shape, self._type):
            raise ValueError(f"rows of {array.shape[1:]} {name} follow rows of {self._shape} {self._type}")
        self.written += len(array)
        if self.written > self.num_rows:
            raise ValueError(f"{self.written} rows have come, {self.num_rows} were announced")
        self._write(array.reshape(-1).view(np.uint8).data)

    def finish(self) -> None:
        """Bring everything to disk, the manifest last.

        Raises:
            ValueError: If rows are missing.
            OSError: If it cannot be written.
        """
        if self._stream is None:
            raise ValueError(f"no batch has come, {self.num_rows} rows were announced")
        if self.written != self.num_rows:
            raise ValueError(f"{self.written} of {self.num_rows} announced rows have come")
        self._stream.flush()
        os.fsync(self._stream.fileno())  # a power cut must not leave the name without the rows
        size = self._stream.tell()
        self._stream.close()
        manifest = {
            "format": FORMAT,
            "key": self.key,
            "description": self.description,
            "shape": [self.num_rows, *self._shape],
            "dtype": self._type,
            "header": self._header,
            "bytes": size,
            # Of what was meant, not of what the disk holds, so that a fault in between is found.
            "sha256": self._digest.hexdigest(),
        }
        (self.folder / MANIFEST_FILE).write_text(json.dumps(seal(manifest), indent=1), encoding="utf-8")

    def _begin(self, array: "np.ndarray[Any, Any]") -> None:
        """Write the header. Plain writes after it, not a memory map: mapped pages would count as the process's own."""
        self._shape, self._type = array.shape[1:], array.dtype.name
        self._stream = (self.folder / DATA_FILE).open("wb")
        header = io.BytesIO()
        shape = (self.num_rows, *self._shape)
        descr = np.lib.format.dtype_to_descr(array.dtype)
        np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
        self._header = header.tell()
        self._write(header.getbuffer())

    def _write(self, content: memoryview) -> None:
        assert self._stream is not None
        self._stream.write(content)
        self._digest.update(content)
