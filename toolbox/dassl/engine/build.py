"""The registry of trainers."""

from typing import Any

from yacs.config import CfgNode

from dassl.config.defaults import upstream_methods
from dassl.utils.registry import Registry, check_availability

TRAINER_REGISTRY = Registry("TRAINER")
"""Subclasses of TrainerBase that are made from the configuration alone."""

# Upstream's methods without settings of their own, in capitals.
_MORE_UPSTREAM_METHODS = ("ADABN", "ADDA", "DANN", "SOURCEONLY", "SUPBASELINE", "VANILLA")


def build_trainer(cfg: CfgNode) -> Any:
    """Return the trainer that ``cfg.TRAINER.NAME`` names.

    Raises:
        ValueError: If no trainer of that name is registered.
    """
    name, registered = cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names()
    if name not in registered and name.upper() in (*upstream_methods(), *_MORE_UPSTREAM_METHODS):
        raise ValueError(
            f"Trainer {name} is a domain-adaptation, domain-generalisation or semi-supervised method that only "
            f"upstream Dassl.pytorch carries; use that for it. Registered here: {registered}"
        )
    check_availability(name, registered)
    if cfg.VERBOSE:
        print(f"Loading trainer: {name}")
    return TRAINER_REGISTRY.get(name)(cfg)
