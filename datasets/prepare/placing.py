"""Put a file that has been obtained into its place in the data set's folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

from amu_raft.downloads.archives import unpack
from amu_raft.images.prompts import describe_prompts
from datasets.catalog import Entry, Part
from datasets.prepare.arrangement import Conflict, find_folder, merge, set_aside, unpack_staged
from datasets.prepare.content import check_content
from datasets.prepare.job import SET_ASIDE, UNPACKED, Job, remove
from datasets.prepare.obtaining import Obtained
from datasets.prepare.presence import classnames_of, destination
from datasets.prepare.validation_images import read_development_kit, read_move_lines, sort_images

Labels = dict[str, str]


def place_file(job: Job, part: Part, obtained: Obtained) -> None:
    """Check a file's content and put it into place; what was there before is set aside.

    Raises:
        ValueError: If the content is wrong.
        OSError: If the disk is full or cannot be written to.
    """
    target = destination(job, obtained.download)
    staged = job.staging / target.name
    remove(staged)
    shutil.copyfile(obtained.path, staged)
    names = classnames_of(job) if part.name == "prompts" else []
    check_content(staged, job.entry, part, obtained.download, names)
    if names and (problem := describe_prompts(staged, names)[1]):
        print(f"  the published {target.name} lacks it too: {problem}")
    if target.exists():
        set_aside(target, job.folder / SET_ASIDE / target.name)
    merge(staged, target, Conflict.REPLACE, job.folder / SET_ASIDE / target.name)


def unpacked_folder(job: Job, part: Part, obtained: Obtained) -> Path:
    """Return where an archive is unpacked; what is unverified, or another of the same name, is kept apart."""
    number = part.alternatives.index(obtained.download)
    trust = "verified" if obtained.verified else "unverified"
    return job.staging / UNPACKED / part.name / f"{number}-{trust}" / obtained.download.file


def place_archive(job: Job, part: Part, obtained: Obtained, read_labels: Callable[[], Labels]) -> None:
    """Unpack an archive in the staging folder and move its folders into place.

    Args:
        job: The data set and its root.
        part: The part that the archive holds.
        obtained: The archive.
        read_labels: Tells the class of each image of a folder without class folders; called where it is needed.

    Raises:
        ValueError: If the archive is damaged, unsafe or lacks a folder.
        OSError: If the disk is full or cannot be written to.
    """
    place = obtained.download.place
    tree = unpacked_folder(job, part, obtained)
    resumed = unpack_staged(obtained.path, tree, place, title=f"{job.entry.name}, {obtained.download.file}")
    for move in place.moves:
        source, target = find_folder(tree, move.find), job.folder / move.to
        if source is None and resumed and target.exists():
            continue  # moved by the run that was killed
        if source is None:
            raise ValueError(f"{obtained.download.file} holds no folder {' or '.join(move.find)}")
        if place.labels_from:
            sort_images(source, read_labels())
        conflict = Conflict.REPLACE if obtained.verified else Conflict.KEEP
        aside = job.folder / SET_ASIDE / ("" if move.to == "." else move.to)
        if conflicts := merge(source, target, conflict, aside):
            where = (
                f"set aside in {job.folder / SET_ASIDE}" if obtained.verified else "kept: the archive is not verified"
            )
            print(f"  {conflicts} files that differ from those in {obtained.download.file} were {where}")
    remove(tree)


def read_labels(job: Job, part: Part, obtained: Obtained) -> Labels:
    """Read the class of each image from a list of moves or from the development kit.

    Raises:
        ValueError: If the file is damaged.
        OSError: If the disk is full or cannot be written to.
    """
    if obtained.path.suffix == ".sh":
        return read_move_lines(obtained.path)
    tree = unpacked_folder(job, part, obtained)
    if not tree.is_dir():
        unpack(obtained.path, tree, title=f"{job.entry.name}, {obtained.download.file}")
    return read_development_kit(tree)


def copy_from_another_set(job: Job, part: Part, entry: Entry) -> bool:
    """Take a small file from another data set's folder if it is there and right; tell whether it was."""
    download = part.alternatives[0]
    path = job.root / download.place.copy_of
    if not download.place.copy_of or not _right(path, entry, part):
        return False
    place_file(job, part, Obtained(path, download, own=False, verified=False))
    return True


def _right(path: Path, entry: Entry, part: Part) -> bool:
    try:
        check_content(path, entry, part, part.alternatives[0])
    except (ValueError, OSError):
        return False
    return path.is_file()
