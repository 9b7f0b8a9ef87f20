"""Damaged images are found before minutes of training, not after."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from amu_raft.images.files import lacks_end
from dassl.utils.images import open_image, read_image


def check_readable(paths: Iterable[str], source: Path) -> None:
    """Refuse images that a glance shows to be damaged; every one is decoded only if its first or last bytes look so.

    Args:
        paths: The images that a run will read.
        source: The folder or list that they are of.

    Raises:
        OSError: Naming the first of them and how to find all.
    """
    faults = [fault for path in paths if (fault := _fault_of(path))]
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise OSError(f"{faults[0]}{more}; amu-raft doctor {source} lists all that is wrong")


def _fault_of(path: str) -> str:
    with contextlib.suppress(Exception), open_image(path):
        if not lacks_end(path):
            return ""
    try:
        read_image(path)
    except OSError as error:
        return str(error)
    return ""
