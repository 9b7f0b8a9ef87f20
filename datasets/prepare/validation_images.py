"""Sort the validation images of ImageNet, which are published in one flat folder, into folders of their classes."""

import os
import re
from pathlib import Path

from amu_raft.images.files import is_image
from amu_raft.progress import progress

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
IMAGE = "ILSVRC2012_val_{:08d}.JPEG"
VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_\d{8}\.JPEG")
MOVE_LINE = re.compile(r"^mv\s+(\S+\.JPEG)\s+(n\d{8})/?\s*$", re.MULTILINE)


def read_move_lines(path: Path) -> dict[str, str]:
    """Read the class of each image from a shell script that would move it; nothing of it is run.

    Returns:
        The wnid by image name.

    Raises:
        ValueError: If there is no such line in it.
    """
    classes = dict(MOVE_LINE.findall(path.read_text(encoding="utf-8", errors="replace")))
    if not classes:
        raise ValueError(f"{path} has no line 'mv IMAGE.JPEG WNID/'")
    return classes


def read_development_kit(folder: Path) -> dict[str, str]:
    """Read the class of each image from the unpacked development kit.

    Returns:
        The wnid by image name.

    Raises:
        ValueError: If a file is missing or damaged.
    """
    files = {path.name: path for path in folder.rglob("*") if path.name in (GROUND_TRUTH, META)}
    for name in (GROUND_TRUTH, META):
        if name not in files:
            raise ValueError(f"the development kit holds no {name}")
    wnids = _read_wnids(files[META])
    try:
        numbers = [int(line) for line in files[GROUND_TRUTH].read_text().split()]
        return {IMAGE.format(position): wnids[number] for position, number in enumerate(numbers, start=1)}
    except (ValueError, KeyError) as error:
        raise ValueError(f"{files[GROUND_TRUTH]} is damaged: {error} is no class of {META}") from error


def _read_wnids(meta: Path) -> dict[int, str]:
    from scipy.io import loadmat

    try:
        synsets = loadmat(meta, squeeze_me=True, struct_as_record=False)["synsets"]
        return {int(one.ILSVRC2012_ID): str(one.WNID) for one in synsets if int(one.num_children) == 0}
    except Exception as error:  # scipy raises whatever a damaged file leads it to
        raise ValueError(f"{meta} is damaged: {error}") from error


def sort_images(folder: Path, classes: dict[str, str]) -> None:
    """Move each image of a flat folder into the folder of its class, one at a time; a second call goes on.

    Raises:
        ValueError: If the class of an image is not known; all others are moved.
        OSError: If the disk cannot be written to.
    """
    loose = sorted(name for name in os.listdir(folder) if is_image(name))  # noqa: PTH208  (many files)
    unknown = [name for name in loose if name not in classes]
    for name in progress([name for name in loose if name in classes], f"Sorting {folder.name}"):
        (folder / classes[name]).mkdir(exist_ok=True)
        (folder / name).rename(folder / classes[name] / name)
    if unknown:
        raise ValueError(f"the class of {len(unknown)} images in {folder} is not known, such as {unknown[0]}")
