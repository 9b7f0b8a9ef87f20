"""Images and folders of a tree."""

import os
from pathlib import Path

from dassl.utils.image_names import ENDINGS, is_image, is_ours

__all__ = ["ENDINGS", "images_below", "is_image", "is_ours", "subfolders"]


def subfolders(folder: Path) -> list[Path]:
    """Return the user's sub-folders, sorted by name."""
    return sorted(sub for sub in folder.iterdir() if is_ours(sub.name) and sub.is_dir())


def images_below(folder: Path) -> list[Path]:
    """Return every image at any depth, sorted; links to folders are not followed, so that it always ends.

    Raises:
        OSError: If a folder cannot be read; its images would be missing without a word.
    """

    def stop(error: OSError) -> None:
        raise error

    found = []
    for parent, folders, files in os.walk(folder, onerror=stop):
        folders[:] = filter(is_ours, folders)
        found += [Path(parent, name) for name in files if is_image(name)]
    return sorted(found)
