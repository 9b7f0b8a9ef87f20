"""Stored arrays by key: found, computed by one of all processes that want them, evicted when the store is full.

An entry's key is made of everything that can change a number in it, so nothing stale is ever used.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from amu_raft.features.extraction import Features
from amu_raft.features.store.entry import DamagedEntryError, Entry, key_of, read_entry
from amu_raft.features.store.layout import StoreFolder
from amu_raft.features.store.tidying import evict, remove_leftovers
from amu_raft.features.store.writer import EntryWriter

DEFAULT_LIMIT = 50 << 30
Description = Mapping[str, Any]
Compute = Callable[[list[str]], Iterable[Features]]


class FeatureStore:
    """Stored arrays below one folder, shared by any number of processes.

    Args:
        folder: The store; made when the first entry is.
        limit: Bytes that it is brought down to whenever something was written, by removing what was not used for
            longest. What was asked for together with it stays until the next time, also beyond the limit.
    """

    def __init__(self, folder: Path, *, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = folder
        self.limit = limit
        self._layout = StoreFolder(folder)

    def find(self, description: Description) -> Entry | None:
        """Return the entry of a description after checking it, None if there is none.

        A damaged entry is warned about and counts as none.

        Raises:
            OSError: If it may not be read.
        """
        return self._find(key_of(description), warn=True)

    def fetch(self, wanted: Mapping[str, Description], num_rows: int, compute: Compute) -> dict[str, Entry]:
        """Return entries by name, computing those that are not there, all of them in one pass over the images.

        Processes that want the same entry wait for the first one; if that is killed, the next one takes over.

        Args:
            wanted: Description of each entry.
            num_rows: Rows of each.
            compute: Given the names of missing entries, yields batches of these, (B, ...) each, in order. It must not
                ask the store for anything, or two processes could wait for each other.

        Raises:
            OSError: If the store cannot be written, or not read.
            ValueError: If ``compute`` yields other rows than announced, or a stored entry has another number of them.
        """
        keys = {name: key_of(description) for name, description in wanted.items()}
        found = self._find_all(keys.values(), warn=False)
        if absent := set(keys.values()) - found.keys():
            with self._layout.locked(absent):
                # Another process may have made them while this one waited. Only now is it certain what is damaged.
                found |= self._find_all(absent, warn=True)
                missing = {name: (key, wanted[name]) for key, name in _first_names(keys).items() if key not in found}
                if missing:
                    found |= self._write(missing, num_rows, compute)
            remove_leftovers(self._layout)
            evict(self._layout, self.limit, keep=keys.values())
        for name, key in keys.items():
            if found[key].shape[0] != num_rows:
                raise ValueError(f"{name}: {found[key].folder} has {found[key].shape[0]} rows, {num_rows} are wanted")
        return {name: found[key] for name, key in keys.items()}

    def _find_all(self, keys: Iterable[str], *, warn: bool) -> dict[str, Entry]:
        return {key: entry for key in set(keys) if (entry := self._find(key, warn=warn))}

    def _find(self, key: str, *, warn: bool) -> Entry | None:
        folder = self._layout.entry(key)
        with self._layout.explained():
            try:
                entry = read_entry(folder)
                entry.verify()
            except FileNotFoundError:
                return None
            except DamagedEntryError as error:
                if warn:
                    warnings.warn(f"stored features are damaged and computed again: {error}", stacklevel=3)
                return None
        with suppress(OSError):  # a store may be read-only, and another process may just evict the entry
            os.utime(folder)  # the time of the last use, which eviction goes by
        return entry

    def _write(
        self, missing: Mapping[str, tuple[str, Description]], num_rows: int, compute: Compute
    ) -> dict[str, Entry]:
        """Compute and store entries, given key and description by name; none is visible before all are complete."""
        layout = self._layout
        with ExitStack() as stack:
            writers = {}
            for name, (key, description) in missing.items():
                layout.remove_partials(key)
                writer = EntryWriter(layout.new_partial(key), key=key, description=description, num_rows=num_rows)
                with layout.explained():
                    writers[name] = stack.enter_context(writer)
            for batch in compute(list(missing)):
                if absent := writers.keys() - batch.keys():
                    raise ValueError(f"features {sorted(absent)} were asked for, {sorted(batch)} have come")
                for name, writer in writers.items():
                    with layout.explained():
                        writer.append(batch[name])
            with layout.explained():
                for writer in writers.values():
                    writer.finish()
                for writer in writers.values():
                    layout.publish(writer.folder, writer.key)
                return {key: read_entry(layout.entry(key)) for key, _ in missing.values()}


def _first_names(keys: Mapping[str, str]) -> dict[str, str]:
    """Turn keys by name round: one name for each key, the first, for two names may stand for the same features."""
    names: dict[str, str] = {}
    for name, key in keys.items():
        names.setdefault(key, name)
    return names
