"""The images of ImageNet by part and class, listed once and kept beside the data.

Listing 1.3 million files takes minutes on a slow disk, so the names are kept in ``imagenet/preprocessed.json`` together
with the time each class folder was last changed. Where CoOp's ``preprocessed.pkl`` lies there and fits the folders, the
images stand in its order, which few-shot samples depend on; otherwise they are sorted.
"""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

from amu_raft.json_file import read_json_file, write_json_file
from amu_raft.wording import shortened
from datasets.upstream_pickle import load_upstream_pickle
from datasets.wnid_folders import Listing, list_images, require_images_of_each, scan_classes

INDEX_FILE = "preprocessed.json"
PICKLE_FILE = "preprocessed.pkl"
FORMAT = 1
PARTS = {"train": "train", "val": "test"}  # folder below images/: name of its list in the pickle


class FolderState(NamedTuple):
    """What tells whether a kept index is out of date.

    Attributes:
        changed: For each part, when each class folder was last changed (ns).
        pickle: Size and time (ns) of the pickle, or None.
    """

    changed: dict[str, dict[str, int]]
    pickle: list[int] | None


def read_index(folder: Path, *, keep: bool = True) -> dict[str, Listing]:
    """List the images in ``folder``/images/train and val, or take the list that was kept.

    Args:
        folder: ROOT/imagenet.
        keep: Write the list beside the images where it is new; a folder that cannot be written to serves as well.

    Returns:
        For "train" and "val" the names of the images by wnid, wnids sorted unless the pickle has another order.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If the images are not in folders of the same classes, or a class has none.
    """
    state = read_state(folder)
    index = _kept_index(folder, state)
    if index is not None:
        return index
    index = {part: _list_part(folder / "images" / part, state.changed[part]) for part in PARTS}
    if state.pickle is not None:
        index = order_as_pickled(index, folder / PICKLE_FILE)
    if keep:
        _keep_index(folder, state, index)
    return index


def read_state(folder: Path) -> FolderState:
    """Look at the class folders without listing them.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If the images are not in folders of the same classes.
    """
    classes = {part: find_classes(folder, part) for part in PARTS}
    if differing := sorted(set(classes["train"]) ^ set(classes["val"])):
        raise ValueError(
            f"{folder / 'images'}: train/ and val/ differ in the class folders {shortened(differing)}; "
            f"{how_to_arrange(folder)}"
        )
    changed = {
        part: {name: (folder / "images" / part / name).stat().st_mtime_ns for name in names}
        for part, names in classes.items()
    }
    pickled = folder / PICKLE_FILE
    about = pickled.stat() if pickled.is_file() else None
    return FolderState(changed, [about.st_size, about.st_mtime_ns] if about else None)


def find_classes(folder: Path, part: str) -> list[str]:
    """Return the sorted class folders of a part.

    Raises:
        FileNotFoundError: If the part's folder is missing.
        ValueError: If there are no class folders in it, or images lie beside them: the sorting of a flat folder may
            have been stopped half-way, and CoOp would pass over the rest in silence.
    """
    images = folder / "images" / part
    if not images.is_dir():
        raise FileNotFoundError(
            f"ImageNet needs {images} with a folder of images for each wnid; {how_to_arrange(folder)}"
        )
    classes, loose = scan_classes(images)
    if loose:
        raise ValueError(
            f"{images} has {loose} images that are not in folders named by their wnids; {how_to_arrange(folder)}"
        )
    if not classes:
        raise ValueError(f"{images} has no folders named by wnids; {how_to_arrange(folder)}")
    return classes


def how_to_arrange(folder: Path) -> str:
    """Return the end of a message about a folder that is not laid out as expected."""
    return f"python -m datasets.prepare ImageNet --root {folder.parent} puts the images into such folders"


def order_as_pickled(index: dict[str, Listing], path: Path) -> dict[str, Listing]:
    """Return the same images in the order of CoOp's pickle; where it does not fit, as they are, with a warning.

    Paths are compared by class folder and file name only, because the pickle holds absolute ones.
    """
    try:
        content = load_upstream_pickle(path)
        return {part: _ordered(index[part], content.get(name, []), part) for part, name in PARTS.items()}
    except (ValueError, OSError) as error:
        warnings.warn(
            f"{path} is not used, so few-shot samples differ from those of programs that use it: {error}", stacklevel=2
        )
        return index


def _ordered(listing: Listing, rows: list[tuple[str, int, str]], part: str) -> Listing:
    pickled: Listing = {}
    for path, _, _ in rows:
        *_, wnid, name = ["", *path.replace("\\", "/").split("/")]
        pickled.setdefault(wnid, []).append(name)
    for wnid in listing.keys() | pickled.keys():
        here, there = listing.get(wnid, []), pickled.get(wnid, [])
        if here != sorted(there):
            differing = sorted(set(here) ^ set(there)) or ["an image twice"]
            raise ValueError(f"it differs from images/{part}/{wnid} in {shortened(differing)}")
    return pickled


def _list_part(images: Path, classes: dict[str, int]) -> Listing:
    from amu_raft.progress import progress

    listing = {wnid: list_images(images / wnid) for wnid in progress(list(classes), f"Listing {images.name} images")}
    require_images_of_each(listing, images)
    return listing


# ------------------------------------------------------------------------------------------------------ the kept index


def _kept_index(folder: Path, state: FolderState) -> dict[str, Listing] | None:
    path = folder / INDEX_FILE
    if not path.is_file():
        return None
    try:
        content = read_json_file(path, what="list of images")
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        index = {part: {wnid: _names(text) for wnid, text in content[part].items()} for part in PARTS}
        changed = {part: dict(content["changed"][part]) for part in PARTS}
        if any(index[part].keys() != changed[part].keys() for part in PARTS):
            raise ValueError("its lists do not belong together")
        pickled = content["pickle"]
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as error:
        warnings.warn(f"the list of images {path} is not used and is made again: {error}", stacklevel=3)
        return None
    if FolderState(changed, pickled) != state:
        print(f"The list of images {path} is out of date: the class folders or {PICKLE_FILE} were changed")
        return None
    print(f"Reading the list of images from {path}")
    return index


def _names(text: Any) -> list[str]:
    names: list[str] = text.split("/")
    if "" in names:
        raise ValueError("it lists an image without a name")
    return names


def _keep_index(folder: Path, state: FolderState, index: dict[str, Listing]) -> None:
    # The names of a class are one text: no name has a slash, and a list would take a line for each of 1.3 million.
    joined = {part: {wnid: "/".join(names) for wnid, names in listing.items()} for part, listing in index.items()}
    path = folder / INDEX_FILE
    try:
        write_json_file({"format": FORMAT, "pickle": state.pickle, "changed": state.changed, **joined}, path)
    except OSError as error:
        warnings.warn(f"the list of images is not kept: {path} cannot be written ({error})", stacklevel=3)
        return
    print(f"Saving the list of images to {path}")
