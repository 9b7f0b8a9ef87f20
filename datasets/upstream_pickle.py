"""Lists of images in pickles as CoOp writes them, read without running anything in them."""

import pickle
from pathlib import Path
from typing import Any


class _StoredDatum:
    """Stands in for the pickled Datum: takes its attributes and runs nothing."""

    _impath: Any = None
    _label: Any = None
    _classname: Any = None


class _DatumUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("dassl.data.datasets.base_dataset", "Datum"):
            return _StoredDatum
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def load_upstream_pickle(path: Path) -> dict[str, list[tuple[str, int, str]]]:
    """Read a few-shot sample or an index of ImageNet, admitting nothing but Datum and plain containers.

    Returns:
        For each list in it ("train", "val", "test"): (absolute image path, label, class name).

    Raises:
        ValueError: If it holds anything else or is damaged.
    """
    try:
        with path.open("rb") as stream:
            content = _DatumUnpickler(stream).load()
        return {name: [_fields(item) for item in items] for name, items in content.items()}
    except Exception as error:  # a damaged pickle raises nearly any type of exception
        raise ValueError(f"it holds more than plain lists of images, or is damaged ({error})") from error


def _fields(item: Any) -> tuple[str, int, str]:
    if not isinstance(item, _StoredDatum) or not isinstance(item._impath, str):
        raise TypeError(f"{type(item).__name__} in place of an image")
    return item._impath, item._label, item._classname
