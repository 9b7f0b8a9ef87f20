"""What is removed from a store: old entries beyond its limit, damaged ones, and what killed processes left."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from amu_raft.features.store.entry import DamagedEntryError, Entry, read_entry
from amu_raft.features.store.layout import StoreFolder


def read_entries(store: StoreFolder) -> Iterator[Entry | Path]:
    """Open every entry, the one that was used longest ago first; a damaged one is yielded as its folder."""
    for folder in store.entries():
        try:
            yield read_entry(folder)
        except DamagedEntryError:
            yield folder
        except FileNotFoundError:
            continue  # another process has just removed it


def damage_of(folder: Path) -> str:
    """Say what is wrong with an entry; "" if nothing is or it is gone.

    Raises:
        OSError: If it may not be read.
    """
    try:
        read_entry(folder).verify()
    except DamagedEntryError as error:
        return str(error)
    except FileNotFoundError:
        pass
    return ""


def evict(store: StoreFolder, limit: int, *, keep: Iterable[str] = ()) -> int:
    """Remove what was not used for longest until the entries take no more than ``limit`` bytes.

    Args:
        store: The store's folder.
        limit: Bytes.
        keep: Keys that stay in any case; what is being written anew stays as well.

    Returns:
        How many entries were removed.
    """
    kept = set(keep)
    sizes = {folder: _size(folder) for folder in store.entries()}
    removed, total = 0, sum(sizes.values())
    for folder, size in sizes.items():
        if total <= limit:
            break
        if folder.name not in kept and _remove(store, folder.name):
            removed += 1
            total -= size
    return removed


def remove_damaged(store: StoreFolder) -> int:
    """Remove damaged entries, and return how many."""
    removed = 0
    for folder in store.entries():
        # Looked at again under the lock: in between another process may have made it anew.
        removed += bool(damage_of(folder)) and _remove(store, folder.name, only_damaged=True)
    return removed


def remove_leftovers(store: StoreFolder) -> int:
    """Remove what killed processes left half-written or half-removed, and return how many entries that were."""
    removed = 0
    for key in sorted({key for key, _ in store.partials()}):
        with store.locked_if_free(key) as held:
            removed += held and store.remove_partials(key) > 0
    return removed


def remove_locks(store: StoreFolder) -> int:
    """Remove the lock files of entries that are gone, and return how many."""
    removed = 0
    for key in store.lock_keys():
        if store.entry(key).exists():
            continue
        with store.locked_if_free(key) as held:
            if held and not store.entry(key).exists():
                store.remove_lock(key)
                removed += 1
    return removed


def _remove(store: StoreFolder, key: str, *, only_damaged: bool = False) -> bool:
    """Remove an entry, and tell whether it could be: not while a process makes it anew, and not another user's."""
    with store.locked_if_free(key) as held:
        if not held or (only_damaged and not damage_of(store.entry(key))):
            return False
        try:
            store.discard(key)
        except OSError:
            return False
        return True


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError:  # another process removes it in this moment, or it is another user's
        return 0
