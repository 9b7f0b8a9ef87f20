"""Folders of images with one folder per class, as the ImageNet family has them; their names are wnids or numbers."""

import os
from pathlib import Path

from amu_raft.images.files import ENDINGS, is_image
from amu_raft.wording import shortened

Listing = dict[str, list[str]]  # names of images by class folder


def scan_classes(folder: Path) -> tuple[list[str], int]:
    """Return the sorted names of the class folders, and the number of images that lie beside them."""
    classes, loose = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image(entry.name):
                loose += 1
            elif entry.name[0] != "." and entry.is_dir():
                classes.append(entry.name)
    return sorted(classes), loose


def list_images(folder: Path) -> list[str]:
    """Return the sorted names of the images in a folder."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image(entry.name))


def require_images_of_each(listing: Listing, folder: Path) -> None:
    """Raise a ValueError that names the class folders without images."""
    if empty := [name for name, images in listing.items() if not images]:
        raise ValueError(
            f"no images in {shortened(empty)} of {folder}; accepted endings are {' '.join(ENDINGS)}: unpack them again"
        )
