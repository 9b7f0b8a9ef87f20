"""Which parts of a data set are in place already."""

import os
from pathlib import Path

from amu_raft.images.files import is_image
from dassl.data.datasets import DATASET_REGISTRY
from datasets.catalog import Download, Entry, Move, Part
from datasets.coop_layout import CoopDataset
from datasets.doctor.disk import LEAST_BYTES, file_size, read_folder
from datasets.doctor.foldered import image_folders, names_of_folders
from datasets.prepare.content import check_content
from datasets.prepare.job import Job
from datasets.prepare.validation_images import VALIDATION_IMAGE


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
        check_content(path, job.entry, part, download, classnames_of(job) if part.name == "prompts" else ())
    except (ValueError, OSError) as error:
        return str(error)
    return ""


def classnames_of(job: Job) -> list[str]:
    """Return the class names of a data set as far as its lists and folders tell; nothing if they do not."""
    dataset = dataset_class(job.entry)
    try:
        if image_folders(dataset, job.folder):
            return names_of_folders(dataset, job.folder)
        rows = dataset.read_rows(job.folder)
    except (ValueError, OSError):
        return []
    return list({row.label: row.classname for part in rows.values() for row in part}.values())


def _missing_images(job: Job, download: Download, move: Move) -> str:
    folder = job.folder / move.to
    if not folder.is_dir():
        return f"{folder} is missing"
    if move.images is not None:
        found = count_images(folder)
        if found >= move.images:
            return ""
        if download.place.labels_from and is_flat(folder):
            return f"the images in {folder} are not sorted into folders"
        return f"{folder} holds {found} of {move.images} images"
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


def count_images(folder: Path) -> int:
    """Count the images in the class folders of a folder as the doctor does: links are followed, strays do not count."""
    count = 0
    for name in read_folder(folder).folders:
        if not name.startswith("."):
            files = read_folder(folder / name).files
            count += sum(1 for image, size in files.items() if size >= LEAST_BYTES and is_image(image))
    return count


def is_flat(folder: Path) -> bool:
    """Tell whether the images of a folder that should hold class folders are yet to be sorted into them.

    Beside class folders only those count that a run which was killed while it sorted would have left.
    """
    if not folder.is_dir():
        return False
    contents = read_folder(folder)
    loose = [name for name in contents.files if is_image(name)]
    if any(not name.startswith(".") for name in contents.folders):
        return any(VALIDATION_IMAGE.fullmatch(name) for name in loose)
    return bool(loose)


def _has_bytes(path: str) -> bool:
    return (file_size(path) or 0) >= LEAST_BYTES
