"""Files and folders: atomic writes, JSON, downloads."""

import errno
import json
import os
import shutil
import urllib.request
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


def mkdir_if_missing(dirname: str) -> None:
    """Make a folder and its parents; an existing folder is fine and an empty name means the current one.

    Raises:
        OSError: If the folder cannot be made; the message names it.
    """
    if not dirname or os.path.isdir(dirname):
        return
    try:
        os.makedirs(dirname, exist_ok=True)
    except OSError as error:
        reason = f"Cannot make the folder ({error.strerror})"
        raise OSError(error.errno or errno.EIO, reason, os.fspath(dirname)) from error


@contextmanager
def atomic_write(path: str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file so that it appears whole or not at all, whatever interrupts the writing.

    Args:
        path: The file to make or replace. Its folder must exist.
        mode: "w" for text in UTF-8 or "wb" for bytes.
    """
    target = os.path.realpath(path)
    # uuid4 asks the operating system, so that Python's global generator, which few-shot sampling uses, stays put.
    temporary = f"{target}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise


def check_isfile(fpath: str) -> bool:
    """Tell whether the path is a file, with a warning if it is not."""
    found = os.path.isfile(fpath)
    if not found:
        warnings.warn(f'No file found at "{fpath}"', stacklevel=2)
    return found


def read_json(fpath: str) -> Any:
    """Return what a JSON file holds."""
    with open(fpath, encoding="utf-8") as stream:
        return json.load(stream)


def write_json(obj: Any, fpath: str) -> None:
    """Write an object as JSON with an indent of four, atomically; the folder is made if missing."""
    mkdir_if_missing(os.path.dirname(fpath))
    with atomic_write(fpath) as stream:
        json.dump(obj, stream, indent=4, separators=(",", ": "))


def listdir_nohidden(path: str, sort: bool = False) -> list[str]:
    """Return the names in a folder that do not begin with a dot.

    Args:
        path: The folder.
        sort: Sort the names; otherwise they come in the file system's order.
    """
    names = [name for name in os.listdir(path) if not name.startswith(".")]
    return sorted(names) if sort else names


def download_url(url: str, dst: str, from_gdrive: bool = True) -> None:
    """Download a file.

    Args:
        url: Google Drive address or file id, or any other address if from_gdrive is off.
        dst: The file to write; its folder is made if missing.
        from_gdrive: Fetch through gdown, which is imported only here.

    Raises:
        OSError: If the download fails.
        ImportError: If it is from Google Drive and gdown is not installed.
    """
    mkdir_if_missing(os.path.dirname(dst))
    print(f"Downloading {url} to {dst}")
    if from_gdrive:
        try:
            import gdown
        except ImportError as error:
            raise ImportError("Downloads from Google Drive need the package gdown: pip install gdown") from error

        if gdown.download(url, dst, quiet=False) is None:
            raise OSError(f"Cannot download {url}: Google Drive gave no file")
        return
    with urllib.request.urlopen(url) as response, atomic_write(dst, "wb") as stream:
        shutil.copyfileobj(response, stream)
