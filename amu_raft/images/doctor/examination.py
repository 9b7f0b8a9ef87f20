"""Examine own images before training: what is there, what would stop a run, what would make its figures wrong."""

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from amu_raft.images.division import describe_division, divided_parts, too_small
from amu_raft.images.doctor import SHOTS
from amu_raft.images.doctor.looking import Look, died_of, look_at
from amu_raft.images.doctor.other_files import describe_other_files
from amu_raft.images.doctor.sentences import names_of_one_text, refused_sentences
from amu_raft.images.doctor.workers import look_at_all
from amu_raft.images.listing import Classes, check_listing
from amu_raft.images.names import CLASSNAMES_FILE, class_names
from amu_raft.images.own_images import PROMPT_FILE, folder_of, list_images
from amu_raft.images.prompts import describe_prompts
from amu_raft.wording import examples, plural, printable, reason

TINY_SIDE = 32  # pixels; CLIP enlarges to 224 and more
IMBALANCE = 10  # images of the largest class for one of the smallest


@dataclass
class Examination:
    """What was found of a folder or list.

    Attributes:
        source: It.
        layout: How the images lie, in words; empty if that cannot be told.
        division: What is divided by this project; empty if nothing is.
        names: Class names in the order of the labels; with the folder or label in brackets where that is another.
        counts: Images of each class by part.
        failures: What stops training or makes its figures wrong.
        warnings: What may make figures worse.
        notes: What is good to know.
    """

    source: Path
    layout: str = ""
    division: str = ""
    names: list[str] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def examine(source: Path, *, shots: int = SHOTS, workers: int | None = None) -> Examination:
    """Examine a folder or list of own images; every file is read and decoded.

    Args:
        source: The folder or list; it need not exist.
        shots: Training images per class that a run shall draw.
        workers: Processes that decode; the number of processors if None.
    """
    found = Examination(source)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            parts = _list(found)
        except (OSError, ValueError) as error:
            found.failures += map(printable, getattr(error, "faults", None) or [_told(error)])
            parts = {}
    found.warnings += [printable(warning.message) for warning in said]
    if source.is_dir():
        found.notes += describe_other_files(source, with_classes=bool(parts))
    if parts:
        _count(found, parts, shots)
        Images(parts).examine(found, workers)
    return found


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {reason(error)}"
    return str(error)


def _list(found: Examination) -> dict[str, Classes]:
    """Do what training does with the folder or list, and return its parts.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it cannot be trained on.
    """
    listing = list_images(found.source)
    found.layout = listing.layout
    check_listing(listing, found.source)
    folder = folder_of(found.source)
    names = class_names(folder, listing.classes)
    found.division = describe_division(listing)
    if small := too_small(listing):
        warnings.warn(small, stacklevel=1)
    pairs = zip(names, listing.classes, strict=True)
    found.names = [printable(name if name == key else f"{name} ({key})") for name, key in pairs]
    if (folder / CLASSNAMES_FILE).is_file():
        found.notes.append(f"class names are those of {CLASSNAMES_FILE}")
    prompts, problem = folder / PROMPT_FILE, ""
    if prompts.is_file():
        covered, problem = describe_prompts(prompts, names)
        found.notes.append(f"{PROMPT_FILE} has sentences for {covered} classes")
    problem = problem or refused_sentences(prompts if prompts.is_file() else None, names)
    found.failures += [problem] if problem else []
    same = names_of_one_text(names, found.names)
    found.warnings += [same] if same else []
    return divided_parts(listing)


def _count(found: Examination, parts: dict[str, Classes], shots: int) -> None:
    """Count the images of each class, and note what is too few."""
    for part, classes in parts.items():
        found.counts[part] = [len(classes.get(key, ())) for key in parts["train"]]
    train = found.counts["train"]
    if not any(found.counts["test"]):
        found.failures.append("no test images: give each class two images or more")
    if not any(found.counts["val"]):
        found.notes.append("no validation images: training holds some of the training images out, if there are enough")
    if short := [name for name, number in zip(found.names, train, strict=True) if number < shots]:
        found.warnings.append(
            f"classes with fewer than {shots} training images, which are taken whole: {len(short)}, {examples(short)}"
        )
    if max(train) >= IMBALANCE * min(train):
        found.warnings.append(f"the largest class has {max(train)} training images, the smallest {min(train)}")


class Images:
    """The images of all parts, looked at one after the other; of each only a hash is kept.

    Args:
        parts: Images by class of each part.
    """

    def __init__(self, parts: dict[str, Classes]) -> None:
        self.rows = [
            (part, key, str(path))
            for part, classes in parts.items()
            for key, paths in classes.items()
            for path in paths
        ]
        self.first: dict[bytes, int] = {}  # row by content
        self.copies: dict[bytes, list[int]] = {}
        self.unreadable: list[str] = []
        self.tiny: list[str] = []
        self.kinds: Counter[str] = Counter()

    def examine(self, found: Examination, workers: int | None) -> None:
        """Look at all images and note what is wrong with them."""
        paths = [path for _, _, path in self.rows]
        base = folder_of(found.source)
        looks = look_at_all(paths, look_at, lost=died_of, title="images", workers=workers)
        for row, look in enumerate(looks):
            self._take(row, look, _below(paths[row], base))
        self._tell(found, base)

    def _take(self, row: int, look: Look, name: str) -> None:
        if look.digest and self.first.setdefault(look.digest, row) != row:
            self.copies.setdefault(look.digest, [self.first[look.digest]]).append(row)
        if look.problem:
            self.unreadable.append(f"{name}: {look.problem}")
        elif look.side < TINY_SIDE:
            self.tiny.append(name)
        self.kinds.update(look.kinds)

    def _tell(self, found: Examination, base: Path) -> None:
        found.failures += [f"cannot be read: {printable(line)}" for line in self.unreadable]
        groups = list(self.copies.values())
        parts = [group for group in groups if len({self.rows[row][0] for row in group}) > 1]
        classes = [group for group in groups if len({self.rows[row][1] for row in group}) > 1]
        same = [group for group in groups if group not in classes and group not in parts]
        if parts:
            found.failures.append(
                f"the same image in several splits, {plural(len(parts), 'time')}: {self._shown(parts, base)}; "
                "remove the copies, or figures will be too good"
            )
        if classes:
            found.warnings.append(
                f"the same image in several classes, {plural(len(classes), 'time')}: {self._shown(classes, base)}"
            )
        if same:
            number = sum(len(group) - 1 for group in same)
            found.notes.append(f"copies within a class and split: {number}, such as {self._shown(same[:1], base)}")
        if self.tiny:
            tiny = examples(map(printable, self.tiny))
            found.warnings.append(f"{plural(len(self.tiny), 'image')} under {TINY_SIDE} pixels a side: {tiny}")
        if self.kinds:
            kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.kinds.items()))
            found.notes.append(f"unusual images, which are read right: {kinds}")

    def _shown(self, groups: Iterable[list[int]], base: Path) -> str:
        """Show the first three groups of copies."""
        shown = []
        for group in list(groups)[:3]:
            files = [f"{_below(self.rows[row][2], base)} ({self.rows[row][0]})" for row in group[:3]]
            shown.append(printable(" = ".join(files)) + (f" and {len(group) - 3} more" if len(group) > 3 else ""))
        return "; ".join(shown)


def _below(path: str, folder: Path) -> str:
    return path.removeprefix(f"{folder}/")
