from collections.abc import Callable
from typing import Any

import pytest
import torch

from dassl.modeling import BACKBONE_REGISTRY, Backbone, SimpleNet, build_backbone, build_head
from dassl.modeling.networks import MLP


class Pool(Backbone):
    """Mean colour."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self._out_features = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


@pytest.fixture(autouse=True)
def registered() -> None:
    BACKBONE_REGISTRY.register(Pool)


def test_classifier(make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    cfg = make_cfg(MODEL__BACKBONE__NAME="Pool", VERBOSE=True)
    net = SimpleNet(cfg, cfg.MODEL, 5)
    logits, features = net(torch.rand(2, 3, 8, 8), return_feature=True)
    assert (logits.shape, features.shape, net.fdim) == ((2, 5), (2, 3), 3)
    assert net(torch.rand(2, 3, 8, 8)).shape == (2, 5)
    assert capsys.readouterr().out == "Backbone: Pool\n"


def test_head_and_no_classifier(make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    cfg = make_cfg(
        MODEL__BACKBONE__NAME="Pool",
        MODEL__HEAD__NAME="mlp",
        MODEL__HEAD__HIDDEN_LAYERS=(7, 4),
        MODEL__HEAD__DROPOUT=0.5,
        MODEL__HEAD__ACTIVATION="leaky_relu",
        VERBOSE=True,
    )
    net = SimpleNet(cfg, cfg.MODEL, 0)
    assert net(torch.rand(2, 3, 8, 8)).shape == (2, 4)
    kinds = [type(layer).__name__ for layer in net.head]
    assert kinds == ["Linear", "BatchNorm1d", "LeakyReLU", "Dropout"] * 2
    assert capsys.readouterr().out == "Backbone: Pool\nHead: mlp\n"


@pytest.mark.parametrize(("name", "width"), [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048)])
def test_resnets(name: str, width: int) -> None:
    backbone = build_backbone(name, verbose=False, pretrained=False)
    assert backbone.out_features == width
    assert backbone.eval()(torch.rand(1, 3, 32, 32)).shape == (1, width)


@pytest.mark.parametrize("name", ["resnet101", "resnet152"])
def test_deep_resnets_have_the_width_of_resnet50(name: str) -> None:
    with torch.device("meta"):
        assert build_backbone(name, verbose=False, pretrained=False).out_features == 2048


def test_errors() -> None:
    assert Backbone().out_features is None
    with pytest.raises(ValueError, match=r"but got \[resnet17\]"):
        build_backbone("resnet17")
    with pytest.raises(ValueError, match=r"belong to \['mlp'\]"):
        build_head("nope")
    with pytest.raises(ValueError, match=r"ACTIVATION must be one of .* but got nope"):
        MLP(3, [4], "nope", True, 0.0)
    with pytest.raises(ValueError, match="HIDDEN_LAYERS is empty"):
        build_head("mlp", verbose=False)
