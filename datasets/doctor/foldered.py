"""The ImageNet family: class folders are all the list there is, and classnames.txt names them."""

from collections.abc import Mapping
from pathlib import Path

from amu_raft.images.files import is_image
from amu_raft.progress import progress
from amu_raft.wording import examples, plural, printable, reason
from datasets.class_names import find_classnames, name_folders, read_classnames
from datasets.coop_layout import CoopDataset
from datasets.doctor.disk import LEAST_BYTES, blocked, read_folder
from datasets.doctor.finding import Survey
from datasets.imagenet import ImageNet
from datasets.imagenet_variant import ImageNetVariant


def image_folders(dataset: type[CoopDataset], folder: Path) -> dict[str, Path]:
    """Return the folders that hold class folders, by part; nothing for a data set whose images are listed in files."""
    if issubclass(dataset, ImageNetVariant):
        return {"test": folder / dataset.image_folder}
    if issubclass(dataset, ImageNet):
        return {"train": folder / "images" / "train", "test": folder / "images" / "val"}
    return {}


def survey_folders(dataset: type[CoopDataset], folder: Path, *, keep_paths: bool) -> Survey:
    """Count the images of each class folder. Nothing that was counted before is trusted, nor are images opened.

    Args:
        dataset: Its class.
        folder: Its folder, which exists.
        keep_paths: Whether to list the training images, a million perhaps, and not only to count them.
    """
    survey = Survey(sizes={})
    counts: dict[str, dict[str, int]] = {}
    parts = image_folders(dataset, folder)
    for part, images in parts.items():
        keep = keep_paths or part == "test"
        counts[part] = count_classes(images, survey, title=f"{dataset.__name__}: {part} folders", keep_paths=keep)
    survey.num_images = sum(sum(classes.values()) for classes in counts.values())
    survey.smallest = {part: min(classes.values(), default=0) for part, classes in counts.items()}
    survey.sizes = {part: sum(classes.values()) for part, classes in counts.items()}
    if issubclass(dataset, ImageNet):  # in CoOp's protocol its validation images are both
        survey.sizes["val"] = survey.sizes["test"]
    folders = [name for classes in counts.values() for name, number in classes.items() if number]
    survey.classes = len(set(folders))
    check_same_classes(counts, survey)
    check_names(dataset, sorted(set(folders)), folder, survey)
    return survey


def count_classes(folder: Path, survey: Survey, *, title: str, keep_paths: bool) -> dict[str, int]:
    """Return the number of images that are not empty in each class folder, and note what is wrong.

    Args:
        folder: Holds one folder per class.
        survey: Gets the problems, and the paths if they are kept.
        title: What the progress bar says.
        keep_paths: Whether to list the images.
    """
    where = f"{folder.parent.name}/{folder.name}"
    classes = class_folders(folder, where, survey)
    counts: dict[str, int] = {}
    empty: list[str] = []
    tiny: list[str] = []
    for name in progress(classes, title):
        try:
            contents = read_folder(folder / name)
        except (OSError, ValueError) as error:
            survey.problems.append(f"folder {where}/{printable(name)} cannot be read ({reason(error)})")
            continue
        sizes = {image: size for image, size in sorted(contents.files.items()) if is_image(image)}
        whole = [image for image, size in sizes.items() if size >= LEAST_BYTES]
        empty += [f"{name}/{image}" for image, size in sizes.items() if not size]
        tiny += [f"{name}/{image}" for image, size in sizes.items() if 0 < size < LEAST_BYTES]
        empty += [f"{name}/{image}" for image in sorted(contents.broken) if is_image(image)]
        counts[name] = len(whole)
        if keep_paths:
            survey.images += [f"{folder}/{name}/{image}" for image in whole]
    if empty:
        survey.problems.append(f"{plural(len(empty), 'image')} of {where} empty or a broken link: {examples(empty)}")
    if tiny:
        survey.problems.append(
            f"{plural(len(tiny), 'image')} of {where} damaged, under {LEAST_BYTES} bytes: {examples(tiny)}"
        )
    if bare := [name for name, number in counts.items() if not number]:
        survey.problems.append(f"class folders of {where} without images: {examples(bare)}")
    return counts


def class_folders(folder: Path, where: str, survey: Survey) -> list[str]:
    """Return the sorted names of the class folders, and note what lies beside them."""
    try:
        top = read_folder(folder)
    except (OSError, ValueError) as error:
        survey.problems.append(f"{where} {blocked(folder) or f'cannot be read ({reason(error)})'}")
        return []
    classes = sorted(name for name in top.folders if not name.startswith("."))
    loose = sum(map(is_image, top.files))
    if loose and not classes:
        survey.problems.append(f"{where} is flat: {plural(loose, 'image')} in it and no class folder")
    elif loose:
        survey.notes.append(f"{plural(loose, 'image')} of {where} outside the class folders, not used")
    if broken := [name for name in top.broken if not name.startswith(".")]:
        survey.problems.append(f"broken links in {where}: {examples(sorted(broken))}")
    return classes


def check_same_classes(counts: Mapping[str, Mapping[str, int]], survey: Survey) -> None:
    """Note class folders that one part has and the other lacks."""
    folders = [set(classes) for classes in counts.values() if classes]
    everywhere: set[str] = set(folders[0]).intersection(*folders) if folders else set()
    if differing := sorted(set().union(*folders) - everywhere):
        survey.problems.append(f"{' and '.join(counts)} differ in the class folders {examples(differing)}")


def names_of_folders(dataset: type[CoopDataset], folder: Path) -> list[str]:
    """Return the class names of the class folders that are there.

    Raises:
        OSError: If classnames.txt or a folder is missing.
        ValueError: If they do not fit together.
    """
    survey = Survey()
    folders = {name for images in image_folders(dataset, folder).values() for name in read_folder(images).folders}
    check_names(dataset, sorted(name for name in folders if not name.startswith(".")), folder, survey)
    return survey.classnames


def check_names(dataset: type[CoopDataset], folders: list[str], folder: Path, survey: Survey) -> None:
    """Take the names of the class folders from classnames.txt, and note what is wrong with it.

    Args:
        dataset: Its class.
        folders: Class folders with images, sorted.
        folder: The data set's folder.
        survey: Gets the names.
    """
    try:
        named_in = find_classnames(folder)
        names = read_classnames(named_in)
        if not folders:
            return
        if issubclass(dataset, ImageNetVariant):
            survey.classnames = [name for _, name in dataset.read_classes(folder).values()]
        else:
            survey.classnames = name_folders(folders, names, listed_in=folder, named_in=named_in)
    except (OSError, ValueError) as error:
        survey.problems.append(printable(error))
