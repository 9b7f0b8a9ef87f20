"""ImageNet (ILSVRC 2012): 1000 classes, labelled by the sorted names of their folders, the wnids."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from amu_raft.images.names import CLASSNAMES_FILE
from dassl.data.datasets import DATASET_REGISTRY
from datasets.class_names import name_folders, note_shared_names, read_classnames
from datasets.coop_layout import CoopDataset
from datasets.imagenet_index import PARTS, read_index
from datasets.listed_item import listed_item
from datasets.split_file import Row, Split

if TYPE_CHECKING:
    from yacs.config import CfgNode

Image = TypeVar("Image")


@DATASET_REGISTRY.register()
class ImageNet(CoopDataset):
    """ImageNet in CoOp's layout: ROOT/imagenet/images/{train,val}/<wnid>/ and classnames.txt, no devkit.

    The official validation images are the test images, as in CoOp; shots are drawn from train only. A few-shot run
    validates on training images that its sample does not hold. A run on all training images has none left, so that
    val is the test part, as in CoOp, and nothing may be chosen on it.
    """

    dataset_dir = "imagenet"
    image_folder = "images"
    templates = ("a photo of a {}.",)
    prompt_file = "imagenet_prompt.json"
    sampled_parts = ("train",)

    read_classnames = staticmethod(read_classnames)

    def __init__(self, cfg: "CfgNode") -> None:
        super().__init__(cfg)
        note_shared_names(type(self).__name__, self.lab2cname)

    @classmethod
    def read_rows(cls, folder: Path) -> dict[str, list[Row]]:
        """List the images that lie in the class folders; "val" and "test" are the same list.

        Raises:
            FileNotFoundError: If a folder or classnames.txt is missing.
            ValueError: If the folders do not fit together, or a class has no images or no name.
        """
        train, val = read_parts(folder, Row, keep=False)
        return {"train": train, "val": val, "test": val}

    def load_split(self) -> Split:
        """Make items of the images that lie in the class folders."""
        train, val = read_parts(Path(self.dataset_dir), listed_item, keep=True)
        return Split(train, val, val)

    @property
    def class_keys(self) -> list[str]:
        """The wnids in label order; unlike the names, no two are the same."""
        wnids: dict[int, str] = {}
        for item in self.train_x:
            if item.label not in wnids:
                wnids[item.label] = Path(item.impath).parent.name
        return [wnid for _, wnid in sorted(wnids.items())]


def read_parts(folder: Path, make: Callable[[str, int, str], Image], *, keep: bool) -> tuple[list[Image], list[Image]]:
    """Return what ``make`` makes of path, label and class name of each training and each validation image.

    Args:
        folder: ROOT/imagenet.
        make: Called for each of 1.3 million images.
        keep: Keep the list of images beside them.

    Raises:
        FileNotFoundError: If a folder or classnames.txt is missing.
        ValueError: If the folders do not fit together, or a class has no images or no name.
    """
    named_in = folder / CLASSNAMES_FILE
    names = read_classnames(named_in)
    index = read_index(folder, keep=keep)
    wnids = sorted(index["train"])
    classnames = name_folders(wnids, names, listed_in=folder / "images", named_in=named_in)
    classes = {wnid: (label, name) for label, (wnid, name) in enumerate(zip(wnids, classnames, strict=True))}
    train, val = (
        [
            make(f"{folder}{os.sep}images{os.sep}{part}{os.sep}{wnid}{os.sep}{image}", *classes[wnid])
            for wnid, images in index[part].items()
            for image in images
        ]
        for part in PARTS
    )
    return train, val
