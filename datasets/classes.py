"""Which classes a model was trained on: the keys of a data set's classes, kept beside the model in classes.json."""

from pathlib import Path
from typing import Any

from amu_raft.json_file import read_json_file, write_json_file

CLASSES_FILE = "classes.json"


def class_keys(dataset: Any) -> list[str]:
    """Return one key per class of a data set, in label order: its own ``class_keys``, else the class names.

    Keys tell which classes of two data sets are the same. Names do not always: two of ImageNet's are called "missile".

    Raises:
        ValueError: If a data set's own keys are not as many as its classes.
    """
    keys = [str(key) for key in getattr(dataset, "class_keys", dataset.classnames)]
    if len(keys) != len(dataset.classnames):
        raise ValueError(
            f"class_keys of data set {type(dataset).__name__} are {len(keys)}, but it has "
            f"{len(dataset.classnames)} classes; each class needs one"
        )
    return keys


def write_classes(dataset: Any, folder: Path | str) -> None:
    """Note the classes of a data set in the run folder of the model that is trained on it."""
    content = {"class_keys": class_keys(dataset), "classnames": list(dataset.classnames)}
    write_json_file(content, Path(folder) / CLASSES_FILE)


def read_class_keys(folder: Path | str) -> list[str] | None:
    """Return the keys of the classes that a run folder's model was trained on; None if it does not say.

    Raises:
        ValueError: If the file is damaged.
    """
    path = Path(folder) / CLASSES_FILE
    if not path.is_file():
        return None
    content = read_json_file(path, what="class list")
    keys = content.get("class_keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise ValueError(f'class list {path} is damaged: it holds no list "class_keys"; remove or restore it')
    return keys
