"""ImageFolder: the user's own images, one folder per class, never written to."""

import os
import random
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dassl.data.datasets import DATASET_REGISTRY, Datum
from datasets.coop_layout import existing_root
from datasets.few_shot import FewShotDataset
from datasets.split_file import SPLIT_NAMES, Split

if TYPE_CHECKING:
    from yacs.config import CfgNode

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@DATASET_REGISTRY.register()
class ImageFolder(FewShotDataset):
    """Images in DATASET.ROOT/<class>/ or DATASET.ROOT/{train,val,test}/<class>/; the folder's name is the class name.

    Without split folders each class is divided 50/20/30 into train, val and test, the same way every time. The
    validation folder may be missing and may also be called "valid" or "validation".
    """

    templates = ("a photo of a {}.",)

    def __init__(self, cfg: "CfgNode") -> None:
        if not cfg.DATASET.ROOT:
            raise ValueError("DATASET.ROOT is not given; ImageFolder reads ROOT/<class>/*.jpg: pass --root DIR")
        root = existing_root(cfg)
        self.dataset_dir = str(root)
        super().__init__(cfg, read_image_folder(root), source=root, root=root)


def read_image_folder(root: Path) -> Split:
    """List the images of a folder with or without split folders.

    Raises:
        ValueError: If there are fewer than two classes, a class has no images, or split folders do not fit together.
    """
    split_folders = find_split_folders(root)
    if not split_folders:
        listing = list_classes(root)
        require_two_classes(listing, root)
        return divide(listing)
    listings = {name: list_classes(folder) for name, folder in split_folders.items()}
    require_two_classes(listings["train"], split_folders["train"])
    for name, listing in listings.items():
        differing = sorted(listing.keys() ^ listings["train"].keys())
        if differing:
            raise ValueError(
                f"{root}: {split_folders[name].name}/ and train/ differ in the classes {_quoted(differing)}"
            )
    return Split(*(_items(listings.get(name, {})) for name in SPLIT_NAMES))


def find_split_folders(root: Path) -> dict[str, Path]:
    """Return the folders of train, test and perhaps val, or nothing where the folders are classes.

    Folders are splits if both train and test exist, or if every folder has the name of a split.

    Raises:
        ValueError: If train or test is missing, or val is there twice.
    """
    found: dict[str, list[Path]] = {}
    others = []
    for folder in subfolders(root):
        name = SPLIT_FOLDERS.get(folder.name.lower())
        found.setdefault(name, []).append(folder) if name else others.append(folder.name)
    if not found or (others and not {"train", "test"} <= found.keys()):
        return {}
    for name in ("train", "test"):
        if name not in found:
            raise ValueError(f"{root} has split folders but no {name}/; expected train/, test/ and perhaps val/")
    for name, folders in found.items():
        if len(folders) > 1:
            raise ValueError(
                f"{root} has {len(folders)} folders for {name}: {_quoted(f.name for f in folders)}; keep one"
            )
    if others:
        warnings.warn(f"{root} has train/ and test/; not read: {_quoted(others)}", stacklevel=2)
    return {name: folders[0] for name, folders in found.items()}


def list_classes(folder: Path) -> dict[str, list[Path]]:
    """Return the sorted images of each class folder, at any depth, by class name in sorted order.

    Raises:
        ValueError: If a class folder has no images.
    """
    listing = {sub.name: images_below(sub) for sub in subfolders(folder)}
    empty = [name for name, images in listing.items() if not images]
    if empty:
        raise ValueError(f"no images in {_quoted(empty)} of {folder}; accepted endings are {' '.join(ENDINGS)}")
    return listing


def subfolders(folder: Path) -> list[Path]:
    """Return the sub-folders that are not hidden, sorted by name."""
    return sorted(sub for sub in folder.iterdir() if sub.is_dir() and not sub.name.startswith("."))


def is_image(name: str) -> bool:
    """Tell by its name whether a file is an image; hidden files, as macOS leaves beside images, are none."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def images_below(folder: Path) -> list[Path]:
    """Return every image at any depth, sorted; hidden files and folders are skipped."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if is_image(name)]
    return sorted(found)


def require_two_classes(listing: dict[str, list[Path]], folder: Path) -> None:
    """Raise a ValueError that shows the expected layout if there is nothing to tell apart."""
    if len(listing) < 2:
        found = f"only the class folder {_quoted(listing)}" if listing else "no class folders"
        raise ValueError(f"{folder} has {found}; expected two or more, as in {folder}/<class>/<image>.jpg")


def divide(listing: dict[str, list[Path]]) -> Split:
    """Divide each class into 50 % train, 20 % val and 30 % test, shuffled by a private generator.

    The generator is seeded with the class name, so that adding a class leaves the others as they are. The first image
    goes to train and the second to test, however small the class.
    """
    single = [classname for classname, images in listing.items() if len(images) == 1]
    if single:
        warnings.warn(f"one image only, so none to test with: {_quoted(single)}", stacklevel=2)
    parts: dict[str, dict[str, list[Path]]] = {name: {} for name in SPLIT_NAMES}
    for classname, images in listing.items():
        order = list(images)
        random.Random(classname).shuffle(order)
        num_train, num_val = max(1, len(order) // 2), len(order) // 5
        parts["train"][classname] = order[:num_train]
        parts["val"][classname] = order[num_train : num_train + num_val]
        parts["test"][classname] = order[num_train + num_val :]
    return Split(*(_items(parts[name]) for name in SPLIT_NAMES))


def _items(listing: dict[str, list[Path]]) -> list[Datum]:
    return [
        Datum(impath=str(path), label=label, classname=classname)
        for label, (classname, images) in enumerate(listing.items())
        for path in images
    ]


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
