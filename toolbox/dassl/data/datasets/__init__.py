"""The base classes of data sets and their registry."""

from typing import Any

from dassl.data.datasets.base_dataset import DatasetBase, Datum
from dassl.data.datasets.build import DATASET_REGISTRY, UPSTREAM_DATASETS, build_dataset, upstream_only

__all__ = ["DATASET_REGISTRY", "DatasetBase", "Datum", "build_dataset"]


def __getattr__(name: str) -> Any:
    """Explain the absence of a data set that upstream bundles."""
    if name in UPSTREAM_DATASETS:
        raise ImportError(upstream_only(name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
