"""The registries of backbones and heads."""

from typing import Any

from dassl.utils.registry import Registry, check_availability

BACKBONE_REGISTRY = Registry("BACKBONE")
"""Functions or classes that return a network with an attribute ``out_features``."""

HEAD_REGISTRY = Registry("HEAD")
"""Functions or classes that return a network with an attribute ``out_features``."""


def build_backbone(name: str, verbose: bool = True, **kwargs: Any) -> Any:
    """Return the backbone of that name, made with the keyword arguments.

    Raises:
        ValueError: If no backbone of that name is registered.
    """
    check_availability(name, BACKBONE_REGISTRY.registered_names())
    if verbose:
        print(f"Backbone: {name}")
    return BACKBONE_REGISTRY.get(name)(**kwargs)


def build_head(name: str, verbose: bool = True, **kwargs: Any) -> Any:
    """Return the head of that name, made with the keyword arguments.

    Raises:
        ValueError: If no head of that name is registered.
    """
    check_availability(name, HEAD_REGISTRY.registered_names())
    if verbose:
        print(f"Head: {name}")
    return HEAD_REGISTRY.get(name)(**kwargs)
