"""Compare what the disk holds of a data set with what the catalog knows of it."""

import shlex
from dataclasses import replace
from pathlib import Path

from amu_raft.downloads.expected import Expected, WrongContent, verify_file
from amu_raft.images.listing import SPLIT_NAMES
from amu_raft.images.prompts import describe_prompts
from amu_raft.wording import examples
from dassl.data.datasets import DATASET_REGISTRY
from datasets.catalog import Download, Entry
from datasets.coop_layout import CoopDataset
from datasets.doctor.decoding import damaged_images
from datasets.doctor.disk import blocked, file_size
from datasets.doctor.end_marks import cut_off_images
from datasets.doctor.finding import Finding, Survey
from datasets.doctor.foldered import image_folders, survey_folders
from datasets.doctor.listed import below_root, survey_lists
from datasets.doctor.published import is_published


def inspect(entry: Entry, root: Path, *, deep: bool = False) -> Finding:
    """Tell the state of a data set from its files, as they are now.

    Args:
        entry: What the catalog knows of it.
        root: The data root; it need not exist.
        deep: Decode every image, and compare archives that lie there with their known sizes.

    Raises:
        ValueError: If no data set in CoOp's layout is registered by that name.
    """
    dataset = registered(entry.name)
    folder = root.expanduser().absolute() / entry.directory
    obstacle = blocked(folder)
    survey = (
        Survey(problems=[f"the folder {folder} {obstacle}"]) if obstacle else survey_folder(dataset, folder, deep=deep)
    )
    if not obstacle:
        survey.problems += differences(survey, entry)
        survey.notes += foreign_split(dataset, entry, folder)
        if deep:
            survey.problems += decode(survey, folder)
            survey.notes += odd_archives(entry, folder)
        else:
            survey.notes += cut_off(survey, folder, command("doctor", entry, root))
    return conclude(survey, entry, root)


def registered(name: str) -> type[CoopDataset]:
    """Return the class of a data set.

    Raises:
        ValueError: If no data set in CoOp's layout is registered by that name.
    """
    known = DATASET_REGISTRY.registered_names()
    dataset = DATASET_REGISTRY.get(name) if name in known else None
    if not (isinstance(dataset, type) and issubclass(dataset, CoopDataset)):
        raise ValueError(f"the catalog lists {name!r}, which is no data set of datasets/; known: {', '.join(known)}")
    return dataset


def survey_folder(dataset: type[CoopDataset], folder: Path, *, deep: bool) -> Survey:
    """Look at a data set's folder in the way that its layout asks for."""
    if image_folders(dataset, folder):
        return survey_folders(dataset, folder, keep_paths=deep)
    return survey_lists(dataset, folder)


def differences(survey: Survey, entry: Entry) -> list[str]:
    """Return where split sizes, classes and class sizes are not the catalog's; nothing where there are no lists."""
    if survey.sizes is None:
        return []
    problems = []
    names = [name for name in SPLIT_NAMES if name in entry.counts]
    found = {name: survey.sizes.get(name, 0) for name in names}
    if found != {name: entry.counts[name] for name in names}:
        sizes, known = ("/".join(str(of[name]) for name in names) for of in (found, entry.counts))
        problems.append(f"{'/'.join(names)} has {sizes} images, expected {known}")
    else:
        problems += [
            f"the smallest class has {survey.smallest.get(name, 0)} {name} images, expected {number}"
            for name, number in entry.min_per_class.items()
            if name in survey.smallest and survey.smallest[name] != number
        ]
    if survey.classes != entry.classes:
        problems.append(f"{survey.classes} classes, expected {entry.classes}")
    return problems


def foreign_split(dataset: type[CoopDataset], entry: Entry, folder: Path) -> list[str]:
    """Note a split file that is not the published one: even with its sizes it gives other few-shot samples."""
    path = folder / dataset.split_file
    known = [download for part in entry.parts for download in part.alternatives if download.file == dataset.split_file]
    if not dataset.split_file or not path.is_file() or not known:
        return []
    try:
        verify_file(path, Expected(md5=known[0].md5, sha256=known[0].sha256, git_blob_sha1=known[0].git_blob_sha1))
    except (WrongContent, OSError):
        return [f"{dataset.split_file} is not the published file: few-shot samples may differ from the papers'"]
    return []


def decode(survey: Survey, folder: Path) -> list[str]:
    """Return a line on the images that cannot be decoded."""
    damaged = damaged_images(survey.images, title=f"{folder.name}: decoding, in parts")
    if not damaged:
        return []
    named = examples(below_root(path, folder) for path in damaged)
    return [f"{len(damaged)} of {len(survey.images)} images cannot be decoded: {named}"]


def cut_off(survey: Survey, folder: Path, command: str) -> list[str]:
    """Return a line on the images that look cut off, with the command that decodes them."""
    found = cut_off_images(survey.images, title=f"{folder.name}: ends of images")
    if not found:
        return []
    look = "image looks" if len(found) == 1 else "images look"
    return [
        f"{len(found)} listed {look} cut off (no end mark), the first is {below_root(found[0], folder)!r}; "
        f"{command} --deep decodes them"
    ]


def command(tool: str, entry: Entry, root: Path) -> str:
    """Return the command that looks at a data set, or prepares it."""
    return f"python -m datasets.{tool} {entry.name} --root {shlex.quote(str(root))}"


def odd_archives(entry: Entry, folder: Path) -> list[str]:
    """Note archives in the data set's folder or beside it that have not their known size."""
    downloads: list[Download] = [download for part in entry.parts for download in part.alternatives]
    notes = []
    for download in downloads:
        for path in (folder / download.file, folder.parent / download.file):
            size = None if download.place.to else file_size(str(path))
            if size is not None and download.size is not None and size != download.size:
                notes.append(f"archive {path} has {size} bytes, expected {download.size}: unfinished or another one")
    return notes


def conclude(survey: Survey, entry: Entry, root: Path) -> Finding:
    """Turn what was seen into the finding."""
    prompts, prompt_problem = "-", ""
    path = root.expanduser().absolute() / entry.prompt_file
    if entry.prompt_file:
        prompts, prompt_problem = describe_prompts(path, survey.classnames)
    published = [download for part in entry.parts if part.name == "prompts" for download in part.alternatives]
    if prompt_problem and any(is_published(path, download) for download in published):
        prompt_problem += "; it is the published file"
        published = []  # fetching it once more would not help
    seen = survey.num_images > 0 or survey.has_list
    state = "whole" if not survey.problems else "partial" if seen else "missing"
    finding = Finding(
        name=entry.name,
        state=state,
        images_found=survey.num_images,
        images_expected=expected_images(entry),
        splits_found=dict(survey.sizes or {}),
        splits_expected=dict(entry.counts),
        classes_found=survey.classes,
        classes_expected=entry.classes,
        prompts=prompts,
        problems=survey.problems,
        notes=[*survey.notes, *([prompt_problem] if prompt_problem else [])],
        next_step="",
    )
    needed = state != "whole" or (published and (prompt_problem or prompts == "absent"))
    return replace(finding, next_step=command("prepare", entry, root)) if needed else finding


def expected_images(entry: Entry) -> int:
    """Return the number of different images; ImageNet's validation and test images are the same."""
    shared = entry.counts.get("val", 0) if entry.name == "ImageNet" else 0
    return sum(entry.counts.values()) - shared
