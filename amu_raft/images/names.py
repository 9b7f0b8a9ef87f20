"""classnames.txt beside own images: what the folders or labels are called in sentences."""

import csv
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from amu_raft.images.list_file import read_list
from amu_raft.wording import shortened

CLASSNAMES_FILE = "classnames.txt"
FORM = "'<folder> <name>' or '<folder>,<name>'"


def class_names(folder: Path, classes: Sequence[str]) -> list[str]:
    """Return a name for each class: from classnames.txt where there is one, else the class itself.

    Lines of classes that are not there do no harm, so that one file serves for several folders.

    Args:
        folder: Where the file is looked for.
        classes: Names of folders, or labels of a list.

    Raises:
        ValueError: If a line does not fit, or a class has no name, or two.
    """
    path = folder / CLASSNAMES_FILE
    if not path.is_file():
        return list(classes)
    # Disks and editors write letters with accents in one or two signs; only classes that differ in that are held apart.
    spell = _composed if len(set(map(_composed, classes))) == len(set(classes)) else str
    longest_first = sorted(map(spell, classes), key=len, reverse=True)
    names: dict[str, str] = {}
    for named, name in read_list(path, lambda line: parse_line(spell(line), longest_first), form=FORM):
        if names.setdefault(named, name) != name:
            raise ValueError(f"{path} gives {named!r} two names, {names[named]!r} and {name!r}")
    if unnamed := [name for name in classes if spell(name) not in names]:
        raise ValueError(f"{path} has no name for {shortened(unnamed)}; its lines are {FORM}")
    return [names[spell(name)] for name in classes]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def parse_line(line: str, longest_first: Sequence[str]) -> tuple[str, str]:
    """Return the class and its name; the class may hold blanks, if it is one of those that are there.

    Raises:
        ValueError: If there is no name.
    """
    try:
        named, name = _parted(line, longest_first)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not name.strip():
        raise ValueError(f"{line!r} has no name")
    return named.strip(), name.strip()


def _parted(line: str, longest_first: Sequence[str]) -> tuple[str, str]:
    if line.startswith('"'):
        named, name = next(csv.reader([line], skipinitialspace=True, strict=True))
    else:
        present = (key for key in longest_first if line == key or line.startswith((f"{key} ", f"{key},", f"{key}\t")))
        named = next(present, None) or line.replace(",", " ").split()[0]
        name = line[len(named) :].lstrip().removeprefix(",").strip()
        if name.startswith('"'):
            [name] = next(csv.reader([name], strict=True))
    return named, name
