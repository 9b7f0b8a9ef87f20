"""The registry of data sets."""

from typing import TYPE_CHECKING

from yacs.config import CfgNode

from dassl.utils.registry import Registry, check_availability

if TYPE_CHECKING:
    from dassl.data.datasets.base_dataset import DatasetBase

DATASET_REGISTRY = Registry("DATASET")
"""Subclasses of DatasetBase that are made from the configuration alone."""

# Bundled with upstream for domain adaptation, domain generalisation and semi-supervised learning.
UPSTREAM_DATASETS = (
    *("CIFAR10", "CIFAR100", "STL10", "SVHN", "CIFAR10C", "CIFAR100C", "CIFARSTL"),
    *("Digit5", "DigitSingle", "DigitsDG", "Office31", "OfficeHome", "OfficeHomeDG", "VisDA17"),
    *("DomainNet", "miniDomainNet", "PACS", "VLCS", "Camelyon17", "FMoW", "IWildCam"),
)


def build_dataset(cfg: CfgNode) -> "DatasetBase":
    """Return the data set that ``cfg.DATASET.NAME`` names.

    Raises:
        ValueError: If no data set of that name is registered.
    """
    name, registered = cfg.DATASET.NAME, DATASET_REGISTRY.registered_names()
    if name in UPSTREAM_DATASETS and name not in registered:
        raise ValueError(f"{upstream_only(name)}. Registered here: {registered}")
    check_availability(name, registered)
    if cfg.VERBOSE:
        print(f"Loading dataset: {name}")
    dataset: DatasetBase = DATASET_REGISTRY.get(name)(cfg)
    return dataset


def upstream_only(name: str) -> str:
    """Return the message about a data set that is not here."""
    return f"Data set {name} comes only with upstream Dassl.pytorch; use that for it, or register a class of that name"
