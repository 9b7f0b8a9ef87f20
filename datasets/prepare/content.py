"""Whether small files hold what they should, whatever their checksums say."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from amu_raft.images.prompts import describe_prompts
from amu_raft.json_file import read_json_file
from amu_raft.wording import shortened
from datasets.catalog import ClassNamesCheck, Download, Entry, Part
from datasets.class_names import read_classnames
from datasets.doctor.published import is_published
from datasets.split_file import read_rows


def check_content(path: Path, entry: Entry, part: Part, download: Download, classnames: Sequence[str] = ()) -> None:
    """Check a split file, a file of sentences or a list of class names; other files pass.

    Args:
        path: The file.
        entry: Its data set.
        part: What it serves as.
        download: What the catalog knows about it.
        classnames: Those that need sentences, as far as they are known. The published file passes without them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not hold what it should.
    """
    if download.place.class_names is not None:
        check_class_names(path, download.place.class_names)
    elif part.name == "split":
        check_split_file(path, entry)
    elif part.name == "prompts":
        check_sentences(path, () if is_published(path, download) else classnames)


def check_split_file(path: Path, entry: Entry) -> None:
    """Check that a split file has as many images and classes as the catalog says.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or has other numbers.
    """
    rows = read_rows(path, "")
    if any("\0" in row.path for part in rows.values() for row in part):
        raise ValueError(f"split file {path} is damaged, it lists a path that no disk can hold")
    sizes = {name: len(part) for name, part in rows.items()}
    classes = len({row.label for part in rows.values() for row in part})
    if sizes != dict(entry.counts) or classes != entry.classes:
        raise ValueError(
            f"split file {path} lists {_sizes(sizes)} of {classes} classes; "
            f"expected {_sizes(dict(entry.counts))} of {entry.classes}"
        )


def check_sentences(path: Path, classnames: Sequence[str] = ()) -> None:
    """Check that a file holds sentences by class name: for these classes or, if none are given, for all that it names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything else.
    """
    content = read_json_file(path, what="file of sentences")
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path} does not hold sentences by class name")
    if classnames:
        if problem := describe_prompts(path, classnames)[1]:
            raise ValueError(problem)
        return
    for name, sentences in content.items():
        if not isinstance(sentences, list) or not sentences or not all(isinstance(text, str) for text in sentences):
            raise ValueError(f"{path} does not hold a list of sentences for {name!r}")


def check_class_names(path: Path, check: ClassNamesCheck) -> None:
    """Tell the right list of class names from a wrong one of the same form.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or another list.
    """
    names = list(read_classnames(path).values())
    if len(names) != check.lines:
        raise ValueError(f"{path} has {len(names)} lines, expected {check.lines} of '<wnid> <name>'")
    wrong = [name for name in check.never if name in names]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if wrong or twice != sorted(check.twice):
        found = f"it names a class {shortened(wrong)} and " if wrong else ""
        raise ValueError(
            f"{path} is not the list of class names that CLIP is used with: {found}"
            f"names shared by classes are {shortened(twice) or 'none'}, "
            f"in the right one {shortened(check.twice) or 'none'}; take CoOp's classnames.txt"
        )


def _sizes(sizes: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sizes.items())
