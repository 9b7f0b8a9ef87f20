"""Building an optimiser from ``cfg.OPTIM``."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from yacs.config import CfgNode

from dassl.optim.radam import RAdam
from dassl.utils.distributed import unwrap

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


def _sgd(params: Parameters, cfg: CfgNode) -> Optimizer:
    return torch.optim.SGD(
        params,
        lr=cfg.LR,
        momentum=cfg.MOMENTUM,
        weight_decay=cfg.WEIGHT_DECAY,
        dampening=cfg.SGD_DAMPNING,
        nesterov=cfg.SGD_NESTEROV,
    )


def _rmsprop(params: Parameters, cfg: CfgNode) -> Optimizer:
    return torch.optim.RMSprop(
        params, lr=cfg.LR, momentum=cfg.MOMENTUM, weight_decay=cfg.WEIGHT_DECAY, alpha=cfg.RMSPROP_ALPHA
    )


def _adam_like(kind: Callable[..., Optimizer], **extra: Any) -> Callable[[Parameters, CfgNode], Optimizer]:
    def build(params: Parameters, cfg: CfgNode) -> Optimizer:
        betas = (cfg.ADAM_BETA1, cfg.ADAM_BETA2)
        return kind(params, lr=cfg.LR, weight_decay=cfg.WEIGHT_DECAY, betas=betas, **extra)

    return build


OPTIMIZERS: dict[str, Callable[[Parameters, CfgNode], Optimizer]] = {
    "adam": _adam_like(torch.optim.Adam),
    "amsgrad": _adam_like(torch.optim.Adam, amsgrad=True),
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "radam": _adam_like(RAdam),
    "adamw": _adam_like(torch.optim.AdamW),
}


def build_optimizer(
    model: nn.Module | Iterable[Tensor], optim_cfg: CfgNode, param_groups: Parameters | None = None
) -> Optimizer:
    """Return the optimiser that ``cfg.OPTIM`` describes.

    Args:
        model: A module or parameters. All of them are handed on, frozen ones included: those get no gradient.
        optim_cfg: The OPTIM node.
        param_groups: Used as they are, in place of the model's parameters.

    Raises:
        ValueError: If OPTIM.NAME is unknown.
        TypeError: If OPTIM.STAGED_LR is on and the model is no module.
    """
    if optim_cfg.NAME not in OPTIMIZERS:
        raise ValueError(f"OPTIM.NAME must be one of {list(OPTIMIZERS)}, but got {optim_cfg.NAME}")
    if param_groups is not None:
        if optim_cfg.STAGED_LR:
            warnings.warn("OPTIM.STAGED_LR is ignored because param_groups is given", stacklevel=2)
        params = param_groups
    elif optim_cfg.STAGED_LR:
        params = _staged_groups(model, optim_cfg)
    else:
        params = model.parameters() if isinstance(model, nn.Module) else model
    return OPTIMIZERS[optim_cfg.NAME](params, optim_cfg)


def _staged_groups(model: nn.Module | Iterable[Tensor], optim_cfg: CfgNode) -> list[dict[str, Any]]:
    """Split direct children into old layers, at LR x BASE_LR_MULT, and those in NEW_LAYERS, at LR."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"OPTIM.STAGED_LR needs a torch.nn.Module, but got {type(model).__name__}")
    names = optim_cfg.NEW_LAYERS
    new_layers = [names] if isinstance(names, str) else list(names)
    if not new_layers:
        warnings.warn("OPTIM.NEW_LAYERS is empty, so OPTIM.STAGED_LR slows all layers down", stacklevel=3)
    base: list[Tensor] = []
    new: list[Tensor] = []
    for name, child in unwrap(model).named_children():
        (new if name in new_layers else base).extend(child.parameters())
    return [{"params": base, "lr": optim_cfg.LR * optim_cfg.BASE_LR_MULT}, {"params": new}]
