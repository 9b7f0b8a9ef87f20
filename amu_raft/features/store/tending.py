"""What looking after the feature store prints: entries, damage, what was removed."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from amu_raft.features.store.layout import StoreFolder, last_use
from amu_raft.features.store.tidying import (
    damage_of,
    evict,
    read_entries,
    remove_damaged,
    remove_leftovers,
    remove_locks,
)
from amu_raft.progress import progress

HEADERS = ("key", "feature", "encoder", "shape", "type", "MiB", "last used")


def list_entries(store: StoreFolder) -> int:
    """Print a table of the entries, the one that was used longest ago first."""
    rows, total = [], 0
    for item in read_entries(store):
        if isinstance(item, Path):
            rows.append([item.name[:12], "damaged", *[""] * (len(HEADERS) - 2)])
            continue
        manifest = item.manifest
        shape = " x ".join(map(str, item.shape))
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(last_use(item.folder)))
        names = [describe(manifest["description"], field) for field in ("feature", "encoder")]
        size = f"{item.num_bytes / (1 << 20):.1f}"
        rows.append([manifest["key"][:12], *names, shape, manifest["dtype"], size, used])
        total += item.num_bytes
    print(tabulate(rows, HEADERS, tablefmt="github", disable_numparse=True))
    print(f"{len(rows)} entries, {total / (1 << 20):.1f} MiB in {store.path}")
    return 0


def describe(description: Mapping[str, Any], field: str) -> str:
    """Return a field of a description in a word: itself, or its name; "?" if it has none."""
    value = description.get(field, "?")
    return str(value.get("name", "?") if isinstance(value, Mapping) else value)


def verify_entries(store: StoreFolder) -> int:
    """Compare every entry with its checksum and name the damaged ones."""
    folders = store.entries()
    damaged = [problem for folder in progress(folders, "verify") if (problem := damage_of(folder))]
    for problem in damaged:
        print(f"damaged: {problem}", file=sys.stderr)
    whole = f"{len(folders) - len(damaged)} of {len(folders)} entries are whole"
    print(f"{whole}; damaged ones are computed again when they are wanted" if damaged else whole)
    return 1 if damaged else 0


def tidy(store: StoreFolder, limit: int) -> int:
    """Remove damaged entries, what killed processes left, what goes beyond the limit, and locks of what is gone."""
    leftovers, damaged = remove_leftovers(store), remove_damaged(store)
    evicted, locks = evict(store, limit), remove_locks(store)
    print(
        f"Removed {leftovers} unfinished, {damaged} damaged and {evicted} old entries and {locks} idle locks "
        f"from {store.path}"
    )
    return 0
