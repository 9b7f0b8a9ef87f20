"""Normalisations that do something, for encoders with random weights."""

import torch
from torch import nn


@torch.no_grad()
def randomise_statistics(network: nn.Module) -> None:
    """Give each channel of each normalisation statistics, a scale and a shift of its own."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3  # large enough that leaving it out would show
            nn.init.normal_(module.running_mean, 0, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.05, 3)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
