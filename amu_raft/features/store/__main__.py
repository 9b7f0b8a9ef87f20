"""List, check and tidy the feature store: python -m amu_raft.features.store ls|verify|gc."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from amu_raft.features.extraction import progress
from amu_raft.features.store.layout import StoreFolder, default_folder, last_use
from amu_raft.features.store.sizes import parse_size
from amu_raft.features.store.storage import DEFAULT_LIMIT
from amu_raft.features.store.tidying import (
    damage_of,
    evict,
    read_entries,
    remove_damaged,
    remove_leftovers,
    remove_locks,
)

HEADERS = ("key", "feature", "encoder", "shape", "type", "MiB", "last used")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 1 if ``verify`` finds damage, 2 if nothing can be done."""
    parser = argparse.ArgumentParser(prog="python -m amu_raft.features.store", description=__doc__)
    parser.add_argument("command", choices=("ls", "verify", "gc"))
    parser.add_argument("--store", type=Path, help="folder of the store; default features/ in the project's cache")
    parser.add_argument("--limit", type=_limit, help="gc: bytes to keep at most, such as 10G; default 50G")
    arguments = parser.parse_args(argv)
    if arguments.limit is not None and arguments.command != "gc":
        parser.error(f"--limit is for gc, {arguments.command} removes nothing")
    path = arguments.store or default_folder()
    if path.exists() and not path.is_dir():
        parser.error(f"--store {path} is no folder")
    store = StoreFolder(path)
    try:
        if arguments.command == "gc":
            return tidy(store, DEFAULT_LIMIT if arguments.limit is None else arguments.limit)
        if not store.entries():
            print(f"The feature store {path} is empty")
            return 0
        return list_entries(store) if arguments.command == "ls" else verify_entries(store)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _limit(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None  # argparse keeps the message of no other error


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


if __name__ == "__main__":
    sys.exit(main())
