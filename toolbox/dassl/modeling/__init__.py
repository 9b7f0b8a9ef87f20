"""Backbones and heads by name, and the classifier made of them."""

from dassl.modeling.build import BACKBONE_REGISTRY, HEAD_REGISTRY, build_backbone, build_head
from dassl.modeling.networks import Backbone
from dassl.modeling.simple_net import SimpleNet

__all__ = ["BACKBONE_REGISTRY", "HEAD_REGISTRY", "Backbone", "SimpleNet", "build_backbone", "build_head"]
