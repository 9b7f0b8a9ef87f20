"""Open and decode every image, in worker processes where there are many."""

import warnings
from collections.abc import Sequence

from amu_raft.images.doctor.workers import look_at_all
from dassl.utils import read_image


def damaged_images(paths: Sequence[str], *, title: str, workers: int | None = None) -> list[str]:
    """Return the images that cannot be decoded to the last pixel, in the order given.

    Args:
        paths: Images.
        title: What the progress bar says.
        workers: Processes; the number of processors if None. One chunk of images needs none.
    """
    sound = look_at_all(paths, is_sound, lost=is_lost, title=title, workers=workers)
    return [path for path, whole in zip(paths, sound, strict=True) if not whole]


def is_sound(path: str) -> bool:
    """Tell in a worker whether an image can be decoded."""
    return decodes(path)


def is_lost(path: str) -> bool:
    """Tell of an image that a worker died of that it cannot."""
    return False


def decodes(path: str) -> bool:
    """Tell whether an image can be opened and turned into RGB, as the loaders do."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata is no damage
            read_image(path)
    except OSError:
        return False
    return True
