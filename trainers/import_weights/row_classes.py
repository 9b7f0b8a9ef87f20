"""Which class each row of an imported adapter stands for."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from dassl.data.datasets import build_dataset
from datasets.class_names import read_classnames
from datasets.classes import class_keys

_WNID = re.compile(r"n\d{8}\s")


@dataclass(frozen=True)
class RowClasses:
    """Key and name of the class of every row."""

    keys: list[str]
    names: list[str]
    source: str


def find_row_classes(rows: int, cfg: CfgNode, classnames_file: str | None) -> RowClasses | None:
    """Return the classes of an adapter's rows: from a file if one is given, else from the data set.

    Args:
        rows: How many there are.
        cfg: The run's configuration, for the data set.
        classnames_file: The file, or None.

    Returns:
        The classes; None, with a line that says so, if the data set cannot be loaded.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is damaged, or file or data set have another number of classes.
    """
    found = read_row_classes(Path(classnames_file)) if classnames_file else _classes_of_dataset(cfg)
    if found is not None and len(found.keys) != rows:
        remedy = (
            "" if classnames_file else "; name its data set by --dataset-config-file or its classes by --classnames"
        )
        raise ValueError(f"the file has {rows} rows, but {found.source} has {len(found.keys)} classes{remedy}")
    return found


def read_row_classes(path: Path) -> RowClasses:
    """Read one class per line, in the order of the rows: ImageNet's "<wnid> <name>", or names that are their own keys.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text, is empty, or has a key twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file of class names {path}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"file of class names {path} is no text in UTF-8 ({error})") from error
    if lines and all(_WNID.match(line) for line in lines):
        names = read_classnames(path)
        return RowClasses(list(names), list(names.values()), str(path))
    repeated = next((line for number, line in enumerate(lines) if line in lines[:number]), None)
    if repeated is not None or not lines:
        fault = f"has {repeated!r} twice" if lines else "is empty"
        raise ValueError(f"file of class names {path} {fault}; one class per line, in the order of the adapter's rows")
    return RowClasses(lines, lines, str(path))


def _classes_of_dataset(cfg: CfgNode) -> RowClasses | None:
    name = cfg.DATASET.NAME
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says of its training images matters to no import
            dataset = build_dataset(cfg)
        return RowClasses(class_keys(dataset), list(dataset.classnames), f"data set {name}")
    except (OSError, ValueError, LookupError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        print(f"data set {name} cannot be loaded ({reason}): an evaluation takes the rows in its own class order")
        return None
