"""Data sets whose images the project writes itself, once, in CoOp's layout."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import PIL
from filelock import FileLock, Timeout
from PIL import Image

from amu_raft.cache import cache_folder
from amu_raft.images.listing import SPLIT_NAMES
from amu_raft.json_file import read_json_file, write_json_file
from dassl.data.datasets import Datum
from datasets.coop_layout import CoopDataset, existing_root
from datasets.split_file import Split, split_content

if TYPE_CHECKING:
    from yacs.config import CfgNode

MARKER = "generated.json"
LOCK_SECONDS = 600


class GeneratedDataset(CoopDataset):
    """Base of the data sets that need no download.

    The folder lies below DATASET.ROOT or, where that is empty, in the project's cache folder.

    Attributes:
        names: Class names by label.
        version: Raised with every change of the images or of their split, so that old folders are not used.
    """

    names: tuple[str, ...] = ()
    version = 1

    def find_root(self, cfg: "CfgNode") -> Path:
        """Return DATASET.ROOT, or a folder of this version in the cache where that is empty."""
        if cfg.DATASET.ROOT:
            return existing_root(cfg)
        return cache_folder() / f"{type(self).dataset_dir}-v{self.version}"

    def prepare_folder(self, folder: Path) -> None:
        """Write the images unless a complete folder of this version is there."""
        made_by = {"dataset": type(self).__name__, "version": self.version}
        ensure_folder(folder, made_by, self.split_file, self.image_folder, self.write_folder)

    def draw_class(self, label: int) -> list[tuple[str, Image.Image]]:
        """Return every image of a class with the stem of its file name."""
        raise NotImplementedError

    def write_folder(self, folder: Path) -> None:
        """Write ``images/<class>/<stem>.png`` and the split file into a new folder."""
        parts: dict[str, list[Datum]] = {name: [] for name in SPLIT_NAMES}
        for label, classname in enumerate(self.names):
            items = []
            for stem, image in self.draw_class(label):
                path = folder / self.image_folder / classname / f"{stem}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path)
                items.append(Datum(impath=str(path), label=label, classname=classname))
            for name, positions in split_positions(len(items), seed=label).items():
                parts[name] += [items[position] for position in positions]
        write_json_file(split_content(Split(**parts), folder / self.image_folder), folder / self.split_file)


def split_positions(count: int, *, seed: int) -> dict[str, list[int]]:
    """Divide shuffled positions: the first half (rounded down) is 60 % train and 40 % val, the other half is test.

    Args:
        count: Number of images of the class.
        seed: Of the private generator that shuffles; Python's global one is left alone.

    Returns:
        Positions for "train", "val" and "test".
    """
    order = list(range(count))
    random.Random(seed).shuffle(order)
    usable = count // 2
    num_train = usable * 6 // 10
    return {"train": order[:num_train], "val": order[num_train:usable], "test": order[usable:]}


def ensure_folder(
    folder: Path, made_by: dict[str, object], split_file: str, image_folder: str, write: Callable[[Path], None]
) -> None:
    """Make ``folder`` by ``write`` unless it is complete; several processes may ask for the same one at once.

    The images are written into a folder beside it that takes its name in one step when it is complete, so a process
    that is killed leaves nothing that could be mistaken for a data set.

    Args:
        folder: The data set's folder.
        made_by: Name and version, stored in the folder.
        split_file: Name of its split file.
        image_folder: Name of its folder of images.
        write: Writes everything into the new folder that it is given.

    Raises:
        FileExistsError: If a folder of that name was not made by this function; it is left as it is.
        OSError: If nothing can be written there.
    """
    if is_complete(folder, made_by, split_file, image_folder):
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock", timeout=LOCK_SECONDS):
            if not is_complete(folder, made_by, split_file, image_folder):
                _replace_folder(folder, made_by, write)
    except Timeout:
        raise OSError(f"another process has been writing {folder} for {LOCK_SECONDS} s; end it and try again") from None
    except FileExistsError:
        raise
    except OSError as error:
        raise OSError(
            f"{made_by['dataset']} cannot be written to {folder} ({error}); "
            "choose a writable place by DATASET.ROOT or the environment variable AMU_RAFT_CACHE"
        ) from error


def is_complete(folder: Path, made_by: dict[str, object], split_file: str, image_folder: str) -> bool:
    """Tell whether a folder was made as ``made_by`` says and still holds every image of its split file."""
    try:
        marker = read_json_file(folder / MARKER, what="marker")
        split = read_json_file(folder / split_file, what="split file")
        paths = [folder / image_folder / row[0] for name in SPLIT_NAMES for row in split[name]]
        return marker.items() >= made_by.items() and all(path.stat().st_size > 0 for path in paths)
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False


def _replace_folder(folder: Path, made_by: dict[str, object], write: Callable[[Path], None]) -> None:
    """Write the folder anew. Runs under the lock, so what earlier processes left half-written is dead."""
    for left_over in folder.parent.glob(f".{folder.name}.partial-*"):
        shutil.rmtree(left_over)
    if folder.exists() and not (folder / MARKER).is_file() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} exists and was not written by this project; move it away or choose another DATASET.ROOT"
        )
    state = "is damaged or of another version: writing it anew" if folder.exists() else "is written once"
    print(f"The {made_by['dataset']} folder {folder} {state}")
    new = folder.parent / f".{folder.name}.partial-{os.getpid()}"
    old = folder.parent / f".{folder.name}.partial-{os.getpid()}-old"
    new.mkdir()
    try:
        write(new)
        write_json_file(made_by | {"pillow": PIL.__version__}, new / MARKER)
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
