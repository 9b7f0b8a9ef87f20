"""The user's own images, as training reads them: a folder or a list, class names, and parts."""

import warnings
from pathlib import Path
from typing import NamedTuple

from amu_raft.images.division import describe_division, divided_parts, too_small
from amu_raft.images.folders import list_folders
from amu_raft.images.listing import Classes, Listing, check_listing
from amu_raft.images.lists import LIST_ENDINGS, list_rows
from amu_raft.images.names import class_names

PROMPT_FILE = "prompts.json"  # sentences of each class, where that file lies beside the images
TEMPLATES = ("a photo of a {}.",)  # what stands for a class without them


class OwnImages(NamedTuple):
    """What a folder or a list holds.

    Attributes:
        classes: Folders, or labels of the list, in the order of their numbers from 0.
        names: What each is called in sentences.
        parts: Images by class of "train", "val" and "test"; only train surely has all classes.
        division: What was divided to get the parts, in words; empty if they are the owner's.
    """

    classes: list[str]
    names: list[str]
    parts: dict[str, Classes]
    division: str


def read_own_images(source: Path) -> OwnImages:
    """List the images of a folder or a list, name their classes and divide what is not divided.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If it cannot be trained on.
    """
    listing = check_listing(list_images(source), source)
    names = class_names(folder_of(source), listing.classes)
    if small := too_small(listing):
        warnings.warn(small, stacklevel=2)
    return OwnImages(listing.classes, names, divided_parts(listing), describe_division(listing))


def list_images(source: Path) -> Listing:
    """List the images of a folder or a list.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If it is damaged, or a file that is no list.
    """
    if source.is_dir():
        return list_folders(source)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; give a folder of images or a list of them")
    if source.suffix.lower() not in LIST_ENDINGS or not source.is_file():
        raise ValueError(f"{source} is neither a folder nor a list; lists end in {', '.join(LIST_ENDINGS)}")
    return list_rows(source)


def folder_of(source: Path) -> Path:
    """Return where classnames.txt and prompts.json are looked for: in the folder, or beside the list."""
    return source if source.is_dir() else source.parent
