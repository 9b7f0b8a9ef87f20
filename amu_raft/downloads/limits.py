"""How many bytes a source may send: what is known of the file, or else what is reasonable and fits the disk."""

import shutil
from pathlib import Path

from amu_raft.downloads.expected import Expected
from amu_raft.downloads.part_file import SourceError, check_space

TEXTS = (".json", ".txt", ".sh")
LARGEST_TEXT = 64 << 20  # many times the largest list that a data set has
RESERVE = 256 << 20  # stays free on the disk while a file of unknown size comes


def check_size(total: int | None, present: int, target: Path, expected: Expected) -> None:
    """Refuse before the first byte a size that the file cannot have or the disk has no room for.

    Args:
        total: Bytes of the whole file, as its source says; None where it does not.
        present: How many of them are on the disk.
        target: The file.
        expected: What is known of it.

    Raises:
        SourceError: If only this source can be wrong: it contradicts what is known, or nothing else confirms a size
            that does not fit.
        OSError: If the known size does not fit, so no other source would help.
    """
    if expected.size is not None:
        if total is not None and total != expected.size:
            raise SourceError(f"it offers {total} bytes, expected {expected.size}")
        check_space(target.parent, expected.size - present, target)
    elif total is not None:
        limit = _known_limit(target, expected)
        if limit is not None and total > limit:
            raise SourceError(f"it offers {total} bytes, where at most {limit} are taken")
        free = shutil.disk_usage(target.parent).free
        if total - present > free:
            raise SourceError(f"it offers {total} bytes, more than the disk has free ({free})")


def most_bytes(present: int, target: Path, expected: Expected) -> int:
    """Return how large a file may become whose source does not say its size; arguments as for ``check_size``."""
    if expected.size is not None:
        return expected.size
    limit = _known_limit(target, expected)
    return limit if limit is not None else present + max(0, shutil.disk_usage(target.parent).free - RESERVE)


def _known_limit(target: Path, expected: Expected) -> int | None:
    """Return the limit of a file of unknown size that does not depend on the disk."""
    if expected.at_most is not None:
        return expected.at_most
    return LARGEST_TEXT if target.suffix.lower() in TEXTS else None
