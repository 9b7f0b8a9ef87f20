"""New splits of images that are sorted into one folder per class."""

import random
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from amu_raft.images.files import ENDINGS, images_below, subfolders
from dassl.data.datasets import Datum
from datasets.listed_item import listed_item
from datasets.split_file import Split, by_label


def read_and_split_data(
    image_dir: str | Path,
    p_trn: float = 0.5,
    p_val: float = 0.2,
    ignored: Collection[str] = (),
    new_cnames: Mapping[str, str] | None = None,
) -> Split:
    """Divide the images of ``image_dir``/<class>/ into train, val and test, drawing from Python's global ``random``.

    Labels follow the sorted names of the folders, before any is renamed.

    Args:
        image_dir: Folder of class folders.
        p_trn: Share of each class that goes to train.
        p_val: Share that goes to val; the rest is test.
        ignored: Names of folders that are no classes.
        new_cnames: Class name by folder name, for those that are not called as their folder.

    Returns:
        The train, val and test items.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no class folders, or a class is empty or too small.
    """
    return split_classes(read_class_folders(Path(image_dir), ignored, new_cnames or {}), p_trn, p_val)


def read_class_folders(image_dir: Path, ignored: Collection[str], new_cnames: Mapping[str, str]) -> list[Datum]:
    """List the images of every class folder, sorted; hidden files and files that are no images are left out.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has no class folders or one of them is empty.
    """
    if not image_dir.is_dir():
        raise FileNotFoundError(f"there is no folder {image_dir}")
    listing = {folder.name: images_below(folder) for folder in subfolders(image_dir) if folder.name not in ignored}
    if not listing:
        raise ValueError(f"{image_dir} has no class folders")
    empty = [name for name, images in listing.items() if not images]
    if empty:
        raise ValueError(
            f"{image_dir} has no images of {', '.join(map(repr, empty))}; accepted endings are {' '.join(ENDINGS)}"
        )
    return [
        listed_item(str(image), label, new_cnames.get(name, name))
        for label, (name, images) in enumerate(listing.items())
        for image in images
    ]


def split_classes(items: Sequence[Datum], p_trn: float = 0.5, p_val: float = 0.2) -> Split:
    """Divide items per class into train, val and test, drawing from Python's global ``random`` as CoOp does.

    Args:
        items: The items; classes are taken in order of first appearance.
        p_trn: Share of each class that goes to train.
        p_val: Share that goes to val; the rest is test.

    Raises:
        ValueError: If a class is too small to give each part an image.
    """
    print(f"Splitting data into {p_trn:.0%} train, {p_val:.0%} val, and {1 - p_trn - p_val:.0%} test")
    split = Split([], [], [])
    for images in by_label(items).values():
        random.shuffle(images)
        num_train, num_val = round(len(images) * p_trn), round(len(images) * p_val)
        parts = images[:num_train], images[num_train : num_train + num_val], images[num_train + num_val :]
        if not all(parts):
            raise ValueError(
                f"class {images[0].classname!r} has {len(images)} images, too few to give train, val and test one each"
            )
        for whole, part in zip(split, parts, strict=True):
            whole += part
    return split
