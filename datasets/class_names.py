"""The class names of the ImageNet family: lines "<wnid> <name>" of classnames.txt."""

import functools
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

from amu_raft.images.names import CLASSNAMES_FILE
from amu_raft.wording import shortened


def read_classnames(text_file: str | Path) -> "OrderedDict[str, str]":
    """Read class names by wnid, in the order of the lines.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line has no name, a wnid stands there twice, or there are no lines.
    """
    path = Path(text_file)
    if not path.is_file():
        raise FileNotFoundError(f"no file of class names {path}; {how_to_get(path.parent.parent)}")
    names: OrderedDict[str, str] = OrderedDict()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged, it is no text in UTF-8 ({error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        wnid, *name = line.strip().split(maxsplit=1)
        if not name:
            raise ValueError(f"{path}, line {number}: {line!r} is not '<wnid> <name>'")
        if wnid in names:
            raise ValueError(f"{path}, line {number}: {wnid} has a name already, {names[wnid]!r}")
        names[wnid] = name[0]
    if not names:
        raise ValueError(f"{path} is empty; {how_to_get(path.parent.parent)}")
    return names


def find_classnames(folder: Path) -> Path:
    """Return the classnames.txt in a data set's folder or, without one, that of ImageNet beside it.

    Raises:
        FileNotFoundError: If neither exists.
    """
    own, shared = folder / CLASSNAMES_FILE, folder.parent / "imagenet" / CLASSNAMES_FILE
    for path in (own, shared):
        if path.is_file():
            return path
    if own == shared:
        raise FileNotFoundError(f"no file of class names {own}; {how_to_get(folder.parent)}")
    raise FileNotFoundError(f"no file of class names, neither {own} nor {shared}; {how_to_get(folder.parent)}")


def how_to_get(root: Path) -> str:
    """Return the end of a message about a missing classnames.txt."""
    return (
        f"python -m datasets.prepare ImageNet --root {root} fetches it "
        "(from Google Drive; CoOp's docs/DATASETS.md links it)"
    )


def name_folders(folders: Iterable[str], names: Mapping[str, str], *, listed_in: Path, named_in: Path) -> list[str]:
    """Return the name of each class folder.

    Raises:
        ValueError: If a folder has none.
    """
    folders = list(folders)
    unknown = [folder for folder in folders if folder not in names]
    if unknown:
        raise ValueError(
            f"{named_in} has no name for {shortened(unknown)} of {listed_in}; "
            "remove what is no class folder, or take the file with all 1000 classes"
        )
    return [names[folder] for folder in folders]


def shared_names(classnames: Mapping[int, str]) -> dict[str, list[int]]:
    """Return the labels of every name that more than one class has."""
    labels: dict[str, list[int]] = {}
    for label, name in classnames.items():
        labels.setdefault(name, []).append(label)
    return {name: found for name, found in labels.items() if len(found) > 1}


def note_shared_names(dataset: str, classnames: Mapping[int, str]) -> None:
    """Print one line about names that several classes have; the same line is printed once in a process."""
    if shared := shared_names(classnames):
        named = ", ".join(f"{name!r} (labels {_joined(labels)})" for name, labels in shared.items())
        _print_once(f"{dataset}: texts cannot tell classes of the same name apart: {named}")


@functools.cache
def _print_once(line: str) -> None:
    print(line)


def _joined(labels: list[int]) -> str:
    return f"{', '.join(map(str, labels[:-1]))} and {labels[-1]}"
