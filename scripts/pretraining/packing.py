"""Write state dicts small, the same bytes each time, and never half a file."""

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can hold


def packed(state: Mapping[str, Tensor]) -> bytes:
    """Return a torch.save archive of a state dict with its entries deflated.

    torch.load reads deflated entries as well as stored ones, and the rows of a token embedding that are all zero then
    take next to no room. No time stamp enters, so equal states give equal bytes with the same torch and zlib.
    """
    plain, small = io.BytesIO(), io.BytesIO()
    torch.save(dict(state), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(small, "w") as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(name), compresslevel=9)
    return small.getvalue()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; its folder must exist."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(temporary).chmod(0o644)  # mkstemp lets nobody else read
        os.replace(temporary, path)  # noqa: PTH105 - the rename that overwrites in one step on every system
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_manifest(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what is known of each weight file, by file name."""
    text = json.dumps(entries, indent=2, sort_keys=True) + "\n"
    write_atomically(folder / MANIFEST, text.encode())
