"""The registry of data sets."""

from typing import TYPE_CHECKING

from yacs.config import CfgNode

from dassl.utils.registry import Registry, check_availability

if TYPE_CHECKING:
    from dassl.data.datasets.base_dataset import DatasetBase

DATASET_REGISTRY = Registry("DATASET")
"""Subclasses of DatasetBase that are made from the configuration alone."""


def build_dataset(cfg: CfgNode) -> "DatasetBase":
    """Return the data set that ``cfg.DATASET.NAME`` names.

    Raises:
        ValueError: If no data set of that name is registered.
    """
    check_availability(cfg.DATASET.NAME, DATASET_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading dataset: {cfg.DATASET.NAME}")
    dataset: DatasetBase = DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)
    return dataset
