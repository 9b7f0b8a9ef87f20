"""ImageFolder: the user's own images, in folders or in a list, never written to."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from amu_raft.images.division import describe_division, make_split, too_small
from amu_raft.images.folders import list_folders
from amu_raft.images.listing import Listing, check_listing
from amu_raft.images.lists import LIST_ENDINGS, list_rows
from amu_raft.images.names import class_names
from amu_raft.images.readable import check_readable
from dassl.data.datasets import DATASET_REGISTRY
from datasets.few_shot import FewShotDataset
from datasets.split_file import Split

if TYPE_CHECKING:
    from yacs.config import CfgNode

PROMPT_FILE = "prompts.json"


@DATASET_REGISTRY.register()
class ImageFolder(FewShotDataset):
    """Images in DATASET.ROOT, a folder or a list; docs/own_images.md tells what they may look like.

    Attributes:
        prompt_file: "prompts.json" where that file lies beside the images, else "".
        has_own_prompts: Whether it does, so that its sentences are the data set's own.
    """

    templates = ("a photo of a {}.",)

    def __init__(self, cfg: "CfgNode") -> None:
        if not cfg.DATASET.ROOT:
            raise ValueError("DATASET.ROOT is not given; ImageFolder reads a folder or a list: pass --data PATH")
        source = Path(cfg.DATASET.ROOT).expanduser().absolute()
        listing, split = read_own_images(source)
        folder = folder_of(source)
        self.dataset_dir = str(folder)
        self.has_own_prompts = (folder / PROMPT_FILE).is_file()
        self.prompt_file = PROMPT_FILE if self.has_own_prompts else ""  # type: ignore[misc]
        self._keys = {item.impath: listing.classes[item.label] for item in split.train}
        super().__init__(cfg, split, source=source, root=folder)
        self._source = source

    def check_images(self) -> None:
        """Refuse images of this run that a glance shows to be damaged.

        Raises:
            OSError: Naming the first of them.
        """
        parts = (self.train_x, self.val, self.test)
        check_readable((item.impath for part in parts for item in part or ()), self._source)

    @property
    def class_keys(self) -> list[str]:
        """Folders, or labels of the list, in label order: names may repeat, they do not."""
        keys = {item.label: self._keys[item.impath] for item in self.train_x}
        return [key for _, key in sorted(keys.items())]


def read_own_images(source: Path) -> tuple[Listing, Split]:
    """List the images of a folder or a list, name their classes and divide what is not divided.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If it cannot be trained on.
    """
    listing = check_listing(list_images(source), source)
    names = class_names(folder_of(source), listing.classes)
    if small := too_small(listing):
        warnings.warn(small, stacklevel=2)
    if division := describe_division(listing):
        print(f"{source}: {division}")
    return listing, make_split(listing, names)


def list_images(source: Path) -> Listing:
    """List the images of a folder or a list.

    Raises:
        FileNotFoundError: If there is no such folder or file.
        ValueError: If it is damaged, or a file that is no list.
    """
    if source.is_dir():
        return list_folders(source)
    if not source.exists():
        raise FileNotFoundError(f"{source} does not exist; give a folder of images or a list of them by --data")
    if source.suffix.lower() not in LIST_ENDINGS or not source.is_file():
        raise ValueError(f"{source} is neither a folder nor a list; lists end in {', '.join(LIST_ENDINGS)}")
    return list_rows(source)


def folder_of(source: Path) -> Path:
    """Return where classnames.txt and prompts.json are looked for: in the folder, or beside the list."""
    return source if source.is_dir() else source.parent
