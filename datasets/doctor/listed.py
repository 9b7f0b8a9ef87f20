"""Data sets whose images are listed in files: a split file, or the lists that the data set is published with."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from amu_raft.images.files import is_image
from amu_raft.progress import progress
from amu_raft.wording import examples, plural, printable, reason
from datasets.coop_layout import CoopDataset
from datasets.doctor.disk import LEAST_BYTES, file_size, image_files, read_folder
from datasets.doctor.finding import Survey
from datasets.split_file import Row

Rows = Mapping[str, Sequence[Row]]


def survey_lists(dataset: type[CoopDataset], folder: Path) -> Survey:
    """Compare the images of a data set with its lists.

    Args:
        dataset: Its class, which reads the lists.
        folder: Its folder, which exists.
    """
    survey = Survey()
    try:
        rows = dataset.read_rows(folder)
    except Exception as error:  # whatever damage a list has, it must not hide the state of the other data sets
        survey.has_list = not isinstance(error, FileNotFoundError)
        survey.problems.append(printable(reason(error)))
        images = progress(image_files(folder / dataset.image_folder), f"{dataset.__name__}: images")
        survey.num_images = sum(1 for _ in images)
        return survey
    everything = [row for part in rows.values() for row in part]
    survey.has_list = True
    survey.sizes = {name: len(part) for name, part in rows.items()}
    survey.smallest = {name: min(Counter(row.label for row in part).values(), default=0) for name, part in rows.items()}
    survey.classes = len({row.label for row in everything})
    check_labels(everything, survey)
    check_repetitions(rows, survey)
    check_images([row.path for row in everything], folder, survey, title=f"{dataset.__name__}: folders")
    return survey


def check_labels(rows: Iterable[Row], survey: Survey) -> None:
    """Note labels with two names and gaps between labels, and take the class names."""
    names: dict[int, str] = {}
    conflicts: dict[int, str] = {}
    for row in rows:
        if names.setdefault(row.label, row.classname) != row.classname:
            conflicts.setdefault(row.label, row.classname)
    survey.classnames = [names[label] for label in sorted(names)]
    if conflicts:
        label, other = min(conflicts.items())
        more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
        survey.problems.append(f"label {label} has two names, {names[label]!r} and {other!r}{more}")
    gaps = max(names, default=-1) + 1 - len(names)
    if gaps:
        first = next(label for label in range(len(names) + 1) if label not in names)
        survey.problems.append(f"{plural(gaps, 'label')} without a row, the first is {first}")
    if len(set(survey.classnames)) < len(names) and not conflicts:
        doubled = [name for name, number in Counter(survey.classnames).items() if number > 1]
        survey.problems.append(f"two labels have the same name: {examples(doubled)}")


def check_repetitions(rows: Rows, survey: Survey) -> None:
    """Note images that are listed twice in a part, or in two parts."""
    images = {name: Counter(row.path for row in part) for name, part in rows.items()}
    for name, counts in images.items():
        twice = [Path(path).name for path, number in counts.items() if number > 1]
        if twice:
            survey.problems.append(f"{plural(len(twice), 'image')} listed twice in {name}: {examples(twice)}")
    for first, second in (("train", "test"), ("val", "test"), ("train", "val")):
        shared = images.get(first, Counter()).keys() & images.get(second, Counter()).keys()
        if shared:
            named = examples(sorted(Path(path).name for path in shared))
            survey.problems.append(f"{plural(len(shared), 'image')} of {second} also in {first}: {named}")


def check_images(paths: Sequence[str], folder: Path, survey: Survey, *, title: str) -> None:
    """Look for every listed image, and note what is missing, empty or not listed.

    Args:
        paths: Listed images.
        folder: The data set's folder, for messages.
        survey: Gets the images that are there, and the notes.
        title: What the progress bar says.
    """
    wanted: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        parent, name = os.path.split(path)
        wanted.setdefault(parent, []).append(name)
    search = Search()
    for parent, names in progress(list(wanted.items()), title):
        search.look_into(parent, names)
    survey.images = search.found
    survey.num_images = len(search.found)
    survey.problems += search.problems(folder, sum(map(len, wanted.values())))
    if search.extra:
        survey.notes.append(f"{plural(search.extra, 'image')} beside the listed ones, not used")


@dataclass
class Search:
    """The outcome of looking for listed images.

    Attributes:
        found: Images that are there and not empty.
        missing: Images that are not there.
        empty: Images of no bytes.
        tiny: Images of too few bytes.
        renamed: Images whose name differs in upper or lower case.
        unreadable: Folders that cannot be read, with the reason.
        extra: Number of images that are not listed.
    """

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    tiny: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    extra: int = 0

    def look_into(self, parent: str, names: Sequence[str]) -> None:
        """Look for images in one folder, reading it once."""
        try:
            files = read_folder(parent).files
        except (OSError, ValueError) as error:
            if not isinstance(error, FileNotFoundError):
                self.unreadable.append(f"{parent} ({reason(error)})")
            self.missing += [f"{parent}{os.sep}{name}" for name in names]
            return
        spelling = {name.lower(): name for name in files}
        for name in names:
            path = f"{parent}{os.sep}{name}"
            # A file system may take other spellings of a name than it lists, so it has the last word.
            size = files[name] if name in files else file_size(path)
            if size is not None and size >= LEAST_BYTES:
                self.found.append(path)
            elif size is not None:
                (self.tiny if size else self.empty).append(path)
            elif name.lower() in spelling:
                self.renamed.append(f"{spelling[name.lower()]} for {name}")
            else:
                self.missing.append(path)
        self.extra += sum(1 for name in files.keys() - set(names) if is_image(name))

    def problems(self, folder: Path, total: int) -> list[str]:
        """Return one line for each kind of trouble, with paths as they read from the data root."""
        problems = []
        tiny = f"damaged, under {LEAST_BYTES} bytes"
        for paths, what in ((self.missing, "missing"), (self.empty, "empty files"), (self.tiny, tiny)):
            if paths:
                named = examples(below_root(path, folder) for path in paths)
                problems.append(f"{len(paths)} of the {total} listed images are {what}: {named}")
        if self.renamed:
            named = examples(self.renamed)
            problems.append(f"{plural(len(self.renamed), 'image')} in other upper or lower case: {named}")
        if self.unreadable:
            named = examples(below_root(path, folder) for path in self.unreadable)
            problems.append(f"{plural(len(self.unreadable), 'folder')} cannot be read: {named}")
        return problems


def below_root(path: str, folder: Path) -> str:
    """Return a path as it reads from the data root, which ``folder`` lies in."""
    return path.removeprefix(f"{folder.parent}{os.sep}")
