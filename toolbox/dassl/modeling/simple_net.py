"""A classifier made of a backbone, an optional head and a linear layer."""

from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from dassl.modeling import networks  # noqa: F401  (registers the networks)
from dassl.modeling.build import build_backbone, build_head


class SimpleNet(nn.Module):
    """Backbone, optional head, and a linear classifier.

    Args:
        cfg: The configuration.
        model_cfg: The node that names backbone and head, usually ``cfg.MODEL``.
        num_classes: Classes; 0 leaves the classifier out.
        kwargs: More arguments for backbone and head.
    """

    def __init__(self, cfg: CfgNode, model_cfg: CfgNode, num_classes: int, **kwargs: Any) -> None:
        super().__init__()
        backbone = model_cfg.BACKBONE
        self.backbone = build_backbone(backbone.NAME, verbose=cfg.VERBOSE, pretrained=backbone.PRETRAINED, **kwargs)
        self._fdim: int = self.backbone.out_features
        self.head: Any = None
        head = model_cfg.HEAD
        if head.NAME and head.HIDDEN_LAYERS:
            self.head = build_head(
                head.NAME,
                verbose=cfg.VERBOSE,
                in_features=self._fdim,
                hidden_layers=head.HIDDEN_LAYERS,
                activation=head.ACTIVATION,
                bn=head.BN,
                dropout=head.DROPOUT,
                **kwargs,
            )
            self._fdim = self.head.out_features
        self.classifier = nn.Linear(self._fdim, num_classes) if num_classes > 0 else None

    @property
    def fdim(self) -> int:
        """Width of the features."""
        return self._fdim

    def forward(self, x: Tensor, return_feature: bool = False) -> Any:
        """Return logits (N, C), or features (N, D) without a classifier, or both as a pair if asked to."""
        features = self.backbone(x)
        if self.head is not None:
            features = self.head(features)
        if self.classifier is None:
            return features
        logits = self.classifier(features)
        return (logits, features) if return_feature else logits
