from typing import Any

import pytest
import torch
from torch import nn

from dassl.utils import count_num_param, init_network_weights, open_all_layers, open_specified_layers


def net() -> Any:
    model = nn.Sequential()
    model.add_module("backbone", nn.Linear(3, 4))
    model.add_module("head", nn.Linear(4, 2))
    return model


def test_counting() -> None:
    model = net()
    assert count_num_param(model) == 26
    assert count_num_param(params=list(model.parameters())) == 26
    assert count_num_param(params=[{"params": model.head.weight}]) == 8
    with pytest.raises(ValueError, match="Either model or params is needed"):
        count_num_param()


def test_opening_layers() -> None:
    model = net()
    open_specified_layers(nn.DataParallel(model), "head")
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, False, True, True]
    assert (model.backbone.training, model.head.training) == (False, True)
    open_specified_layers(model, ["backbone"])
    assert (model.backbone.training, model.head.training) == (True, False)
    open_all_layers(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.head.training
    with pytest.raises(ValueError, match=r'"neck" is not a layer of the model, which has \[\'backbone\', \'head\'\]'):
        open_specified_layers(model, ["neck"])


@pytest.mark.parametrize("init_type", ["normal", "xavier", "kaiming", "orthogonal"])
def test_initialising(init_type: str) -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.Linear(64, 64), nn.LayerNorm(64), nn.Conv1d(2, 2, 1, bias=False)
    )
    for parameter in model.parameters():
        nn.init.constant_(parameter, 5.0)
    init_network_weights(model, init_type)
    assert not model[0].bias.any()
    assert not model[1].bias.any()
    assert torch.equal(model[1].weight, torch.ones(64))
    assert torch.equal(model[3].weight, torch.ones(64))
    assert model[2].weight.abs().max() < 1
    if init_type == "normal":
        assert model[2].weight.detach().std().item() == pytest.approx(0.02, rel=0.05)
    if init_type == "orthogonal":
        assert torch.allclose(model[2].weight @ model[2].weight.t(), 0.02**2 * torch.eye(64), atol=1e-6)


def test_unknown_initialisation() -> None:
    with pytest.raises(ValueError, match="init_type must be one of"):
        init_network_weights(net(), "nope")
