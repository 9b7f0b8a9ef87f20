"""From the configuration to the feature store of a run: FEATURES.*."""

import tempfile
import weakref
from pathlib import Path

import torch
from yacs.config import CfgNode

from amu_raft.features.store import FeatureStore, default_folder
from amu_raft.features.store.sizes import parse_size

OFF = "off"
MAPS_TYPES = {"fp16": torch.float16, "fp32": torch.float32}


def feature_settings() -> CfgNode:
    """Return the keys of the feature store."""
    node = CfgNode()
    node.STORE = ""  # folder; "" is features/ in the project's cache, "off" forgets everything after the run
    node.LIMIT = "50G"  # what the store is brought down to whenever entries are added, without these
    node.STRICT = False  # tell images by their content instead of size and time of the last change
    node.MAPS_PREC = "fp16"  # precision of feature maps on disk: fp16 (RN50: 200 KB an image), fp32
    return node


def check_feature_settings(node: CfgNode) -> None:
    """Refuse settings of the store that mean nothing.

    Raises:
        ValueError: Naming the key and what is accepted.
    """
    _limit(node)
    if node.MAPS_PREC not in MAPS_TYPES:
        raise ValueError(f"unknown FEATURES.MAPS_PREC {node.MAPS_PREC!r}; choose from {', '.join(MAPS_TYPES)}")


def _limit(node: CfgNode) -> int:
    try:
        return parse_size(node.LIMIT)
    except ValueError as error:
        raise ValueError(f"FEATURES.LIMIT: {error}") from None


def open_store(node: CfgNode) -> FeatureStore:
    """Return the store that FEATURES.STORE names; "off" is a temporary one that goes with the object."""
    limit = _limit(node)
    if node.STORE != OFF:
        return FeatureStore(Path(node.STORE).expanduser() if node.STORE else default_folder(), limit=limit)
    folder = tempfile.TemporaryDirectory(prefix="amu-raft-features-", ignore_cleanup_errors=True)
    store = FeatureStore(Path(folder.name), limit=limit)
    weakref.finalize(store, folder.cleanup)
    return store
