"""The feature store: frozen features are computed once and kept; ``amu-raft store`` looks after it."""

from amu_raft.features.store.entry import DamagedEntryError, Entry, key_of
from amu_raft.features.store.identity import image_identity, library_versions
from amu_raft.features.store.layout import default_folder
from amu_raft.features.store.storage import DEFAULT_LIMIT, FeatureStore

__all__ = [
    "DEFAULT_LIMIT",
    "DamagedEntryError",
    "Entry",
    "FeatureStore",
    "default_folder",
    "image_identity",
    "key_of",
    "library_versions",
]
