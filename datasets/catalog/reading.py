"""From a YAML file to the catalog; what does not fit is named with the file and the data set."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path, PurePosixPath
from types import UnionType
from typing import Any, TypeVar, get_origin

import yaml

from datasets.catalog.entries import ClassNamesCheck, Download, Entry, Move, Part, Place, Source

Kind = TypeVar("Kind")
BENCHMARKS = Path(__file__).with_name("benchmarks.yaml")


def read_catalog(path: Path | None = None) -> dict[str, Entry]:
    """Read a catalog, by default the one that is shipped.

    Returns:
        The data sets by registry name, in the file's order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, or an entry misses a key, holds an unknown one or leads out of the data root.
    """
    path = path or BENCHMARKS
    if not path.is_file():
        raise FileNotFoundError(f"no catalog {path}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"catalog {path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not isinstance(content.get("datasets"), list):
        raise ValueError(f"catalog {path} needs a list 'datasets'")
    entries = [
        _entry(item, f"catalog {path}, data set {position}") for position, item in enumerate(content["datasets"])
    ]
    catalog = {entry.name: entry for entry in entries}
    if len(catalog) < len(entries):
        raise ValueError(f"catalog {path} lists a data set twice: {', '.join(entry.name for entry in entries)}")
    return catalog


def _entry(item: Any, where: str) -> Entry:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        where = f"{where.rpartition(',')[0]}, {item['name']}"
    item = {"min_per_class": {}, **_mapping(item, where)}
    parts = tuple(_part(part, where) for part in item.pop("parts", []))
    entry = _build(Entry, item | {"parts": parts}, where)
    _refuse_paths_outside(entry.directory, where)
    _refuse_paths_outside(entry.prompt_file, where)
    if "test" not in entry.counts:
        raise ValueError(f"{where}: counts needs 'test', found {', '.join(entry.counts) or 'nothing'}")
    return entry


def _part(item: Any, where: str) -> Part:
    item = dict(_mapping(item, where))
    alternatives = tuple(_download(download, where) for download in item.pop("alternatives", []))
    return _build(Part, item | {"alternatives": alternatives}, where)


def _download(item: Any, where: str) -> Download:
    item = dict(_mapping(item, where))
    where = f"{where}, {item.get('file', 'a file')}"
    sources = tuple(_build(Source, _mapping(source, where), where) for source in item.pop("sources", []))
    place = _place(item.pop("place", {}), where)
    download = _build(Download, item | {"sources": sources, "place": place}, where)
    if PurePosixPath(download.file).name != download.file:
        raise ValueError(f"{where}: file must be a plain name")
    return download


def _place(item: Any, where: str) -> Place:
    item = dict(_mapping(item, where))
    moves = tuple(_build(Move, _mapping(move, where), where) for move in item.pop("moves", []))
    check = item.pop("class_names", None)
    names = None if check is None else _build(ClassNamesCheck, _mapping(check, where), where)
    place = _build(Place, item | {"moves": moves, "class_names": names}, where)
    for path in (place.to, place.above, place.copy_of, *(move.to for move in moves)):
        _refuse_paths_outside(path, where)
    return place


def _mapping(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ValueError(f"{where}: expected keys and values, found {item!r}")
    return item


def _build(kind: type[Kind], item: Mapping[str, Any], where: str) -> Kind:
    """Make a dataclass of a mapping; lists become tuples, so that it cannot change."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = [key for key in item if key not in known]
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; {kind.__name__} knows {', '.join(known)}")
    missing = [name for name, field in known.items() if field.default is MISSING and name not in item]
    if missing:
        raise ValueError(f"{where}: {kind.__name__} needs {', '.join(missing)}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    for key, value in values.items():
        if not _fits(value, known[key].type):
            wanted = str(getattr(known[key].type, "__name__", known[key].type))
            raise ValueError(f"{where}: {key} is {value!r}, expected {wanted}")
    return kind(**values)


def _fits(value: Any, wanted: Any) -> bool:
    """Tell whether a value is of a field's type; what lists and mappings hold is not looked at."""
    if isinstance(value, bool):
        return wanted is bool
    generic = get_origin(wanted)
    return isinstance(value, wanted if generic in (None, UnionType) else generic)


def _refuse_paths_outside(path: str, where: str) -> None:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{where}: the path {path!r} leads out of the data root")
