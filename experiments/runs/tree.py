"""A configuration tree: its keys, how one is set, how a file is merged."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from amu_raft.plain_values import as_literal


def merge_file(cfg: CfgNode, path: Path) -> None:
    """Merge a YAML file into a tree.

    Raises:
        ValueError: If the file is not YAML, has an unknown key or a value of the wrong type.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path} must hold a tree of configuration keys")
    for key, value in leaves(tree):
        if value is not None:
            set_key(cfg, key, value, source=str(path))


def set_key(cfg: CfgNode, key: str, value: Any, *, source: str) -> None:
    """Set one dotted key, with the type that the default has.

    A number where text is expected is taken as text, a whole number where a fraction is expected as a fraction.

    Raises:
        ValueError: If the key is unknown (naming the nearest known key) or the type is wrong.
    """
    known = dict(leaves(cfg))
    if key.startswith("-"):
        raise ValueError(f"flag {key} comes after KEY VALUE overrides; flags must come before them")
    if key not in known:
        near = get_close_matches(key, list(known), n=1, cutoff=0.0)
        raise ValueError(f"unknown configuration key {key!r} in {source}; the nearest known key is {near[0]!r}")
    decoded, current = as_literal(value), known[key]
    if isinstance(current, str) and not isinstance(decoded, str):
        decoded = str(value)
    if isinstance(current, float) and isinstance(decoded, int) and not isinstance(decoded, bool):
        decoded = float(decoded)
    if isinstance(current, (tuple, list)) and len(current) > 1 and not isinstance(current[0], str):
        _check_numbers(key, decoded, len(current), source)
    try:
        # yacs reads a string as a literal once more, so a string that is meant is quoted.
        cfg.merge_from_list([key, repr(decoded) if isinstance(decoded, str) else decoded])
    except ValueError as error:
        expected = type(current).__name__
        raise ValueError(
            f"configuration key {key} in {source} takes a value of type {expected}, got {value!r}"
        ) from error


def _check_numbers(key: str, value: Any, length: int, source: str) -> None:
    """Refuse what is not as many numbers as the default has: a size, a range, a colour."""
    numbers = isinstance(value, (tuple, list)) and all(isinstance(item, (int, float)) for item in value)
    if not numbers or len(value) != length:
        raise ValueError(f"configuration key {key} in {source} takes {length} numbers, got {value!r}")


def as_dict(cfg: CfgNode) -> dict[str, Any]:
    """Return a configuration tree as plain nested dicts."""
    return {key: as_dict(value) if isinstance(value, CfgNode) else value for key, value in cfg.items()}


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of a tree, dotted, with its value."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
