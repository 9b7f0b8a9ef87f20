"""Own images in one folder per class, with or without folders of train, val and test around them."""

import warnings
from pathlib import Path

from amu_raft.images.files import ENDINGS, images_below, subfolders
from amu_raft.images.listing import PARTS, UNDIVIDED, Classes, Listing
from amu_raft.wording import quoted, shortened


def list_folders(root: Path) -> Listing:
    """List the images of a folder.

    Raises:
        ValueError: If a class has no images, an image is a broken link, or split folders do not fit together.
    """
    split_folders = find_split_folders(root)
    if not split_folders:
        classes = list_classes(root)
        if misplaced := same_subfolders(root, classes):
            warnings.warn(misplaced, stacklevel=2)
        return Listing("one folder per class", {UNDIVIDED: classes})
    parts = {name: list_classes(folder, may_be_empty=name != "train") for name, folder in split_folders.items()}
    names = ", ".join(folder.name for folder in split_folders.values())
    return Listing(f"folders {names} with one folder per class in each", parts)


def find_split_folders(root: Path) -> dict[str, Path]:
    """Return the folders of train and perhaps val and test, or nothing where the folders are classes.

    Folders are splits if every one has the name of a split, or if train and another split are among them.

    Raises:
        ValueError: If train is missing, or a split is there twice.
    """
    found: dict[str, list[Path]] = {}
    others = []
    for folder in class_folders(root)[0]:
        name = PARTS.get(folder.name.lower())
        found.setdefault(name, []).append(folder) if name else others.append(folder.name)
    if not found or (others and not ("train" in found and len(found) > 1)):
        if found:
            names = quoted(folder.name for folders in found.values() for folder in folders)
            warnings.warn(f"{root}: {names} taken for a class; splits are train/ and val/ or test/", stacklevel=2)
        return {}
    if "train" not in found:
        raise ValueError(f"{root} has split folders but no train/; expected train/ and perhaps val/ and test/")
    for name, folders in found.items():
        if len(folders) > 1:
            raise ValueError(
                f"{root} has {len(folders)} folders for {name}: {quoted(f.name for f in folders)}; keep one"
            )
    if others:
        warnings.warn(f"{root} has split folders; not read: {quoted(others)}", stacklevel=2)
    return {name: found[name][0] for name in ("train", "val", "test") if name in found}


def same_subfolders(root: Path, classes: Classes) -> str:
    """Say so if all class folders hold sub-folders of the same names, which may be the classes; else nothing."""
    inner = [tuple(sub.name for sub in subfolders(root / name)) for name in classes]
    if len(inner) < 2 or len(inner[0]) < 2 or len(set(inner)) > 1:
        return ""
    return (
        f"{root}: the folders {quoted(classes)}, taken for classes, all hold {quoted(inner[0])}; if these are the "
        "classes, call the folders around them train/, val/ and test/, or give one of them"
    )


def class_folders(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the sub-folders, and apart from them links to the folder itself or around it, which would repeat it."""
    here = folder.resolve()
    subs = subfolders(folder)
    loops = [sub for sub in subs if sub.is_symlink() and here.is_relative_to(sub.resolve())]
    return [sub for sub in subs if sub not in loops], loops


def list_classes(folder: Path, *, may_be_empty: bool = False) -> Classes:
    """Return the sorted images of each class folder, at any depth, by class name in sorted order.

    Raises:
        ValueError: If a class folder has no images although each must have some, or an image is a broken link.
    """
    folders, loops = class_folders(folder)
    if loops:
        warnings.warn(f"links to the folder that they lie in, not read: {shortened(map(str, loops))}", stacklevel=2)
    listing = {sub.name: images_below(sub) for sub in folders}
    empty = [name for name, images in listing.items() if not images]
    if empty and not may_be_empty:
        raise ValueError(f"no images in {quoted(empty)} of {folder}; accepted endings are {' '.join(ENDINGS)}")
    broken = [str(image) for images in listing.values() for image in images if not image.is_file()]
    if broken:
        raise ValueError(f"no files, but broken links or devices: {shortened(broken)}; remove them")
    return {name: images for name, images in listing.items() if images}
