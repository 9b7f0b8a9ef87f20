"""Counting, freezing and initialising the parameters of a network."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn import init

from dassl.utils.distributed import unwrap


def count_num_param(model: nn.Module | None = None, params: Iterable[Tensor | dict[str, Any]] | None = None) -> int:
    """Return the number of values in a model's parameters.

    Args:
        model: The model.
        params: Used instead if given: tensors, or dictionaries whose "params" is one tensor.

    Raises:
        ValueError: If neither is given.
    """
    if params is not None:
        tensors = (param["params"] if isinstance(param, dict) else param for param in params)
        return sum(tensor.numel() for tensor in tensors)
    if model is not None:
        return sum(parameter.numel() for parameter in model.parameters())
    raise ValueError("Either model or params is needed to count parameters")


def open_all_layers(model: nn.Module) -> None:
    """Put the model in training mode and let every parameter receive a gradient."""
    model.train()
    model.requires_grad_(True)


def open_specified_layers(model: nn.Module, open_layers: str | list[str]) -> None:
    """Train only some direct children; the others are frozen and put in evaluation mode.

    Args:
        model: The model, bare or wrapped for several devices.
        open_layers: Name or names of children to train.

    Raises:
        ValueError: If the model has no child of such a name.
    """
    names = [open_layers] if isinstance(open_layers, str) else open_layers
    children = dict(unwrap(model).named_children())
    for name in names:
        if name not in children:
            raise ValueError(f'"{name}" is not a layer of the model, which has {list(children)}')
    for name, child in children.items():
        child.train(name in names)
        child.requires_grad_(name in names)


def init_network_weights(model: nn.Module, init_type: str = "normal", gain: float = 0.02) -> None:
    """Initialise convolution and linear layers; biases become 0 and norm layers start as the identity.

    Args:
        model: The network, changed in place.
        init_type: normal (standard deviation ``gain``), xavier, kaiming or orthogonal.
        gain: Scale of the weights; kaiming has its own.

    Raises:
        ValueError: If init_type is another.
    """
    initialisers = {
        "normal": lambda weight: init.normal_(weight, 0.0, gain),
        "xavier": lambda weight: init.xavier_normal_(weight, gain=gain),
        "kaiming": lambda weight: init.kaiming_normal_(weight, a=0, mode="fan_in"),
        "orthogonal": lambda weight: init.orthogonal_(weight, gain=gain),
    }
    if init_type not in initialisers:
        raise ValueError(f"init_type must be one of {list(initialisers)}, but got {init_type}")
    weighted = (nn.Linear, nn.modules.conv._ConvNd)
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    for module in model.modules():
        if isinstance(module, weighted):
            initialisers[init_type](module.weight)
        elif isinstance(module, norms) and module.weight is not None:
            init.ones_(module.weight)
        if isinstance(module, weighted + norms) and module.bias is not None:
            init.zeros_(module.bias)
