"""Split files in CoOp's format: for each of train, val and test, rows of [image path, label, class name]."""

import os
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from amu_raft.images.listing import SPLIT_NAMES
from amu_raft.json_file import read_json_file, write_json_file
from dassl.data.datasets import Datum
from datasets.listed_item import listed_item


class Split(NamedTuple):
    """The three parts of a data set, each in stored order, which few-shot sampling depends on."""

    train: list[Datum]
    val: list[Datum]
    test: list[Datum]


class Row(NamedTuple):
    """One image of a data set, whether it exists or not.

    Attributes:
        path: Where the image is, or should be.
        label: Class number, from 0.
        classname: Class name as the data set writes it.
    """

    path: str
    label: int
    classname: str


def read_split(filepath: str | Path, path_prefix: str | Path) -> Split:
    """Read a split file and check that its images are there.

    Args:
        filepath: JSON ``{"train"|"val"|"test": [[path, label, name], ...]}``.
        path_prefix: Folder that the paths in it are relative to.

    Raises:
        FileNotFoundError: If the file, or an image that it lists, is missing.
        ValueError: If it is damaged or laid out differently.
    """
    split = existing_items(read_rows(filepath, path_prefix), listed_in=filepath)
    print(f"Reading split from {filepath}")
    return split


def read_rows(filepath: str | Path, path_prefix: str | Path) -> dict[str, list[Row]]:
    """Read a split file without looking at its images.

    Returns:
        The rows of "train", "val" and "test", in stored order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or laid out differently.
    """
    content = read_json_file(filepath, what="split file")
    if not isinstance(content, dict) or any(not isinstance(content.get(name), list) for name in SPLIT_NAMES):
        raise ValueError(f"split file {filepath} needs the three lists {', '.join(SPLIT_NAMES)}")
    prefix = str(Path(path_prefix))
    return {name: [_checked_row(row, name, filepath, prefix) for row in content[name]] for name in SPLIT_NAMES}


def existing_items(rows: Mapping[str, Sequence[Row]], *, listed_in: str | Path) -> Split:
    """Turn rows into items, all of whose images must exist.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    require_images([row.path for name in SPLIT_NAMES for row in rows[name]], listed_in=listed_in)
    return Split(*([listed_item(*row) for row in rows[name]] for name in SPLIT_NAMES))


def existing_part(rows: Sequence[Row], *, listed_in: str | Path) -> list[Datum]:
    """Turn the rows of one list into items, all of whose images must exist.

    Raises:
        FileNotFoundError: If an image is missing.
    """
    require_images([row.path for row in rows], listed_in=listed_in)
    return [listed_item(*row) for row in rows]


def _checked_row(row: Any, name: str, filepath: str | Path, prefix: str) -> Row:
    match row:
        case [str(path), int(label), str(classname)] if label >= 0:
            return Row(os.path.join(prefix, path), label, classname)  # noqa: PTH118  (fast for a hundred thousand)
    raise ValueError(f"split file {filepath}: {row!r} in {name!r} is not [image path, label >= 0, class name]")


def require_images(paths: Sequence[str], *, listed_in: str | Path) -> None:
    """Raise one FileNotFoundError that names the first missing image and counts the others."""
    missing = [path for path in paths if not os.path.isfile(path)]  # noqa: PTH113  (fast for a hundred thousand)
    if missing:
        raise FileNotFoundError(
            f"image {missing[0]} is missing ({len(missing)} of the {len(paths)} images listed in {listed_in}); "
            "unpack the images again or correct DATASET.ROOT"
        )


def save_split(
    train: Iterable[Datum], val: Iterable[Datum], test: Iterable[Datum], filepath: str | Path, path_prefix: str | Path
) -> None:
    """Write a split file with paths relative to ``path_prefix``, in the order given.

    Raises:
        ValueError: If an image does not lie below ``path_prefix``.
        OSError: If the file cannot be written.
    """
    write_json_file(split_content(Split(list(train), list(val), list(test)), path_prefix), filepath)
    print(f"Saved split to {filepath}")


def split_content(split: Split, path_prefix: str | Path) -> dict[str, list[list[Any]]]:
    """Return what a split file holds: rows by name of the part.

    Raises:
        ValueError: If an image does not lie below ``path_prefix``.
    """
    return {name: [row_of(item, path_prefix) for item in items] for name, items in split._asdict().items()}


def row_of(item: Datum, root: str | Path) -> list[Any]:
    """Return [path relative to ``root`` with forward slashes, label, class name].

    Raises:
        ValueError: If the image does not lie below ``root``.
    """
    path, folder = os.path.normpath(item.impath), os.path.normpath(root).rstrip(os.sep) + os.sep
    if not path.startswith(folder):
        raise ValueError(f"image {item.impath} does not lie below {root}, so it cannot be stored relative to it")
    return [path[len(folder) :].replace(os.sep, "/"), item.label, item.classname]


def by_label(items: Iterable[Datum]) -> dict[int, list[Datum]]:
    """Group items by label, in order of first appearance."""
    groups: dict[int, list[Datum]] = defaultdict(list)
    for item in items:
        groups[item.label].append(item)
    return dict(groups)


def split_trainval(trainval: Sequence[Datum], p_val: float = 0.2) -> tuple[list[Datum], list[Datum]]:
    """Divide items per class into train and val, drawing from Python's global ``random`` as CoOp does.

    Args:
        trainval: The items; classes are taken in order of first appearance.
        p_val: Share of each class that goes to val, 0 to 1.

    Returns:
        The train items and the val items.

    Raises:
        ValueError: If a class is too small to give val an image.
    """
    print(f"Splitting trainval into {1 - p_val:.0%} train and {p_val:.0%} val")
    train: list[Datum] = []
    val: list[Datum] = []
    for items in by_label(trainval).values():
        num_val = round(len(items) * p_val)
        if num_val < 1:
            raise ValueError(
                f"class {items[0].classname!r} has {len(items)} images, too few to give {p_val:.0%} of them to val"
            )
        random.shuffle(items)
        val += items[:num_val]
        train += items[num_val:]
    return train, val


def check_split(split: Split, source: str | Path) -> None:
    """Check that train and test hold images and that train holds every class exactly as the other parts name it.

    Args:
        split: What was read or made.
        source: Where it comes from, for messages.

    Raises:
        ValueError: If a part or a class is empty, or a label has two names.
    """
    for name in ("train", "test"):
        if not getattr(split, name):
            raise ValueError(f"{source} has no {name} images")
    names: dict[int, str] = {}
    for item in (item for part in split for item in part):
        if names.setdefault(item.label, item.classname) != item.classname:
            raise ValueError(f"{source} gives label {item.label} two names: {names[item.label]!r}, {item.classname!r}")
    with_images = {item.label for item in split.train}
    for label in range(max(names) + 1):
        if label not in with_images:
            raise ValueError(f"{source} has no training image of class {names.get(label, '?')!r} (label {label})")
