"""Which parts of a data set are in place already."""

import os
from collections.abc import Iterator
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY
from datasets.catalog import Download, Entry, Move, Part
from datasets.coop_layout import CoopDataset
from datasets.image_folder import is_image
from datasets.prepare.content import check_content
from datasets.prepare.job import Job


def dataset_class(entry: Entry) -> type[CoopDataset]:
    """Return the class that loads a data set."""
    dataset: type[CoopDataset] = DATASET_REGISTRY.get(entry.name)
    return dataset


def destination(job: Job, download: Download) -> Path:
    """Return the place of a plain file."""
    place = download.place
    return (job.root / place.above if place.above else job.folder) / place.to


def missing_from(job: Job, part: Part) -> str:
    """Say in a few words what is missing of a part; empty if it is in place."""
    download = part.alternatives[0]
    if download.place.to:
        return _missing_file(job, part, download)
    return "; ".join(filter(None, (_missing_images(job, download, move) for move in download.place.moves)))


def _missing_file(job: Job, part: Part, download: Download) -> str:
    path = destination(job, download)
    if not path.is_file():
        return f"{path} is missing"
    try:
        check_content(path, job.entry, part, download)
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def _missing_images(job: Job, download: Download, move: Move) -> str:
    folder = job.folder / move.to
    if not folder.is_dir():
        return f"{folder} is missing"
    if move.images is not None:
        found = sum(1 for _ in image_paths(folder))
        if found < move.images:
            return f"{folder} holds {found} of {move.images} images"
        return f"the images in {folder} are not sorted into folders" if _unsorted(folder, download) else ""
    wanted = listed_images(job, folder)
    if wanted is None:
        return f"the list of the images in {folder} is missing or damaged"
    absent = [path for path in wanted if not _has_bytes(path)]
    return f"{len(absent)} of {len(wanted)} images are missing, such as {absent[0]}" if absent else ""


def listed_images(job: Job, folder: Path) -> list[str] | None:
    """Return the images below a folder that the data set's own lists name; None if there are no such lists."""
    try:
        rows = dataset_class(job.entry).read_rows(job.folder)
    except (ValueError, OSError):
        return None
    below = "" if folder == job.folder else f"{folder}{os.sep}"
    return [row.path for part in rows.values() for row in part if row.path.startswith(below)]


def image_paths(folder: Path) -> Iterator[str]:
    """Yield the paths of all images below a folder."""
    for parent, _, names in os.walk(folder):
        yield from (f"{parent}{os.sep}{name}" for name in names if is_image(name))


def is_flat(folder: Path) -> bool:
    """Tell whether images lie directly in a folder that should hold one folder for each class."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(is_image(entry.name) for entry in entries)


def _unsorted(folder: Path, download: Download) -> bool:
    return bool(download.place.labels_from) and is_flat(folder)


def _has_bytes(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0  # noqa: PTH116  (a Path for each of many files is slow)
    except OSError:
        return False
