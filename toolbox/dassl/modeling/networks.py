"""The networks on offer: torchvision's ResNets as backbones and a multilayer perceptron as head."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision import models  # type: ignore[import-untyped]

from dassl.modeling.build import BACKBONE_REGISTRY, HEAD_REGISTRY


class Backbone(nn.Module):
    """Base class of feature extractors, whose constructor sets ``_out_features``."""

    _out_features: int | None = None

    @property
    def out_features(self) -> int | None:
        """Width of the features, None if the constructor has not said."""
        return self._out_features


class ResNet(Backbone):
    """A torchvision ResNet without its classifier.

    Args:
        name: torchvision's name of the network.
        pretrained: Start from torchvision's ImageNet weights, which are downloaded on first use.
    """

    def __init__(self, name: str, pretrained: bool) -> None:
        super().__init__()
        network = models.get_model(name, weights="DEFAULT" if pretrained else None)
        self._out_features = network.fc.in_features
        network.fc = nn.Identity()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, D) of images (N, 3, H, W)."""
        features: Tensor = self.network(x)
        return features


@BACKBONE_REGISTRY.register()
def resnet18(pretrained: bool = True, **kwargs: Any) -> Backbone:
    """ResNet-18, 512 features."""
    return ResNet("resnet18", pretrained)


@BACKBONE_REGISTRY.register()
def resnet34(pretrained: bool = True, **kwargs: Any) -> Backbone:
    """ResNet-34, 512 features."""
    return ResNet("resnet34", pretrained)


@BACKBONE_REGISTRY.register()
def resnet50(pretrained: bool = True, **kwargs: Any) -> Backbone:
    """ResNet-50, 2048 features."""
    return ResNet("resnet50", pretrained)


@BACKBONE_REGISTRY.register()
def resnet101(pretrained: bool = True, **kwargs: Any) -> Backbone:
    """ResNet-101, 2048 features."""
    return ResNet("resnet101", pretrained)


@BACKBONE_REGISTRY.register()
def resnet152(pretrained: bool = True, **kwargs: Any) -> Backbone:
    """ResNet-152, 2048 features."""
    return ResNet("resnet152", pretrained)


class MLP(nn.Sequential):
    """Linear layers, each followed by batch norm, activation and dropout as asked for.

    Args:
        in_features: Width of the input.
        hidden_layers: Widths of the layers.
        activation: "relu" or "leaky_relu".
        bn: Use batch norm.
        dropout: Probability of dropping a value; 0 leaves dropout out.

    Raises:
        ValueError: If the activation is another or there are no layers.
    """

    def __init__(
        self, in_features: int, hidden_layers: Sequence[int], activation: str, bn: bool, dropout: float
    ) -> None:
        activations = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
        if activation not in activations:
            raise ValueError(f"MODEL.HEAD.ACTIVATION must be one of {list(activations)}, but got {activation}")
        if not hidden_layers:
            raise ValueError("MODEL.HEAD.HIDDEN_LAYERS is empty; give the width of at least one layer")
        layers: list[nn.Module] = []
        for width in hidden_layers:
            layers.append(nn.Linear(in_features, width))
            if bn:
                layers.append(nn.BatchNorm1d(width))
            layers.append(activations[activation]())
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            in_features = width
        super().__init__(*layers)
        self.out_features = in_features


@HEAD_REGISTRY.register()
def mlp(
    hidden_layers: Sequence[int] = (),
    activation: str = "relu",
    bn: bool = True,
    dropout: float = 0.0,
    in_features: int = 2048,
    **kwargs: Any,
) -> MLP:
    """Multilayer perceptron, see `MLP`."""
    return MLP(in_features, hidden_layers, activation, bn, dropout)
