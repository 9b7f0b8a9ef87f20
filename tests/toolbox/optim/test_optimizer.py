from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from dassl.optim import build_optimizer


def net() -> Any:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("backbone", nn.Linear(3, 4))
    model.add_module("head", nn.Linear(4, 2))
    return model


NAMES = ["sgd", "adam", "amsgrad", "adamw", "rmsprop", "radam"]
SETTINGS = ("lr", "weight_decay", "momentum", "betas", "nesterov", "dampening", "alpha", "amsgrad", "eps")


@pytest.mark.parametrize("name", NAMES)
def test_settings_and_steps_equal_the_record(name: str, make_cfg: Callable[..., Any], recorded: Any) -> None:
    model = net()
    optimiser = build_optimizer(model, make_cfg(OPTIM__NAME=name, OPTIM__LR=0.01).OPTIM)
    torch.manual_seed(1)
    for _ in range(8):
        optimiser.zero_grad()
        model(torch.randn(5, 3)).pow(2).sum().backward()
        optimiser.step()
    record = recorded["items"].get(f"optim/{name}")
    if record is None:
        assert optimiser.param_groups[0]["lr"] == 0.01
        return
    kind, groups, settings, sums = record
    group = optimiser.param_groups[0]
    here = {key: list(group[key]) if key == "betas" else group[key] for key in SETTINGS if key in group}
    assert (type(optimiser).__name__, len(optimiser.param_groups), here) == (kind, groups, settings)
    assert [parameter.abs().sum().item() for parameter in model.parameters()] == pytest.approx(sums, abs=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_lowers_a_loss(name: str, make_cfg: Callable[..., Any]) -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    optimiser = build_optimizer([weight], make_cfg(OPTIM__NAME=name, OPTIM__LR=0.01).OPTIM)
    for _ in range(20):
        optimiser.zero_grad()
        weight.pow(2).sum().backward()
        optimiser.step()
    assert abs(weight.item()) < 1


def test_settings_reach_the_optimiser(make_cfg: Callable[..., Any]) -> None:
    cfg = make_cfg(OPTIM__NAME="sgd", OPTIM__MOMENTUM=0.5, OPTIM__SGD_DAMPNING=0.1, OPTIM__WEIGHT_DECAY=0.2)
    group = build_optimizer(net(), cfg.OPTIM).param_groups[0]
    assert (group["momentum"], group["dampening"], group["weight_decay"]) == (0.5, 0.1, 0.2)
    cfg = make_cfg(OPTIM__NAME="rmsprop", OPTIM__RMSPROP_ALPHA=0.7)
    assert build_optimizer(net(), cfg.OPTIM).param_groups[0]["alpha"] == 0.7
    assert build_optimizer(net(), make_cfg(OPTIM__NAME="amsgrad").OPTIM).param_groups[0]["amsgrad"]


def test_frozen_parameters_are_handed_on(make_cfg: Callable[..., Any]) -> None:
    model = net()
    model.backbone.requires_grad_(False)
    assert len(build_optimizer(model, make_cfg().OPTIM).param_groups[0]["params"]) == 4


@pytest.mark.parametrize("new_layers", ["head", ["head"], ("head",)])
def test_staged_rates(new_layers: Any, make_cfg: Callable[..., Any]) -> None:
    cfg = make_cfg(OPTIM__NAME="sgd", OPTIM__LR=0.1, OPTIM__STAGED_LR=True, OPTIM__NEW_LAYERS=new_layers)
    for model in (net(), nn.DataParallel(net())):
        groups = build_optimizer(model, cfg.OPTIM).param_groups
        assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.1])
        assert [len(group["params"]) for group in groups] == [2, 2]


def test_staged_rates_need_a_module_and_new_layers(make_cfg: Callable[..., Any]) -> None:
    cfg = make_cfg(OPTIM__STAGED_LR=True)
    with pytest.raises(TypeError, match=r"STAGED_LR needs a torch\.nn\.Module, but got list"):
        build_optimizer(list(net().parameters()), cfg.OPTIM)
    with pytest.warns(UserWarning, match="NEW_LAYERS is empty"):
        build_optimizer(net(), cfg.OPTIM)


def test_given_groups_are_used(make_cfg: Callable[..., Any]) -> None:
    model = net()
    groups: list[Any] = [{"params": model.head.parameters(), "lr": 0.5}, {"params": model.backbone.parameters()}]
    built = build_optimizer(model, make_cfg(OPTIM__NAME="sgd", OPTIM__LR=0.1).OPTIM, groups)
    assert [group["lr"] for group in built.param_groups] == [0.5, 0.1]
    with pytest.warns(UserWarning, match="STAGED_LR is ignored because param_groups is given"):
        build_optimizer(model, make_cfg(OPTIM__STAGED_LR=True).OPTIM, [{"params": model.head.parameters()}])


def test_unknown_optimiser(make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"OPTIM.NAME must be one of \['adam', .*\], but got nope"):
        build_optimizer(net(), make_cfg(OPTIM__NAME="nope").OPTIM)
