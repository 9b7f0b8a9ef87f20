"""The feature store: frozen features are computed once and kept; ``python -m features.store`` looks after it."""

from features.store.entry import DamagedEntryError, Entry, key_of
from features.store.identity import image_identity, library_versions
from features.store.layout import default_folder
from features.store.storage import DEFAULT_LIMIT, FeatureStore

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
