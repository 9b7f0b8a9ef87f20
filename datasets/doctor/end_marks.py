"""Images that look cut off, told by a glance at their last bytes."""

from collections.abc import Sequence

from amu_raft.images.files import lacks_end
from amu_raft.progress import progress

MOST_IMAGES = 120_000  # of a set that is looked at; more would take too long for a command that is run often


def cut_off_images(paths: Sequence[str], *, title: str) -> list[str]:
    """Return the JPEG and PNG images without an end mark; published sets hold a few, so that they are no proof.

    Args:
        paths: Images; if there are more than ``MOST_IMAGES``, none is looked at.
        title: What the progress bar says.
    """
    if len(paths) > MOST_IMAGES:
        return []
    return [path for path in progress(list(paths), title) if lacks_end(path)]
