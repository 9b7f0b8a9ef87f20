"""Layers that frozen residual encoders compute with: as they are, or fewer and faster ones that do the same."""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

ENCODER_LAYERS = ("folded", "plain")


def check_encoder_layers(layers: str) -> None:
    """Refuse layers that are none of ``ENCODER_LAYERS``.

    Raises:
        ValueError: Naming those that are.
    """
    if layers not in ENCODER_LAYERS:
        raise ValueError(f"unknown encoder layers {layers!r}; choose from {', '.join(ENCODER_LAYERS)}")


def arrange_layers(network: nn.Module, layers: str) -> nn.Module:
    """Return a frozen residual network to compute with, equal to the given one up to rounding.

    Args:
        network: In evaluation mode. It stays as it is; later changes of it do not reach a folded copy.
        layers: "plain" is the network itself. "folded" is a copy with every normalisation folded into the convolution
            before it, and weights in the layout (channels last) in which convolutions and what follows them are
            fastest on the CPU and on CUDA: they bring their input into it, and maps come out in it.

    Raises:
        ValueError: If the layers are unknown, or some normalisation has no convolution before it.
    """
    check_encoder_layers(layers)
    if layers == "plain":
        return network
    return fold_normalisations(network).to(memory_format=torch.channels_last)


def fold_normalisations(network: nn.Module) -> nn.Module:
    """Return a copy of a network in evaluation mode without batch normalisation.

    Fixed statistics make a normalisation an affine map of each channel, which the convolution before it takes into its
    weights and a bias. CLIP's and torchvision's residual networks name each normalisation right after its convolution.

    Raises:
        ValueError: If another module stands before one.
    """
    folded = copy.deepcopy(network)
    for parent in list(folded.modules()):
        for (name, before), (name_of_norm, norm) in pairwise(list(parent.named_children())):
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(before, norm))
                setattr(parent, name_of_norm, nn.Identity())
    left = [name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ValueError(f"normalisation {left[0]!r} has no convolution right before it to be folded into")
    return folded.eval()  # what was put in is in training mode
