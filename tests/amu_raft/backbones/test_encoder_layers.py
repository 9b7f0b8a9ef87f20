from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from amu_raft.backbones.encoder_layers import ENCODER_LAYERS, arrange_layers, fold_normalisations
from amu_raft.backbones.residual_network import BasicBlock, Bottleneck, ResidualNetwork
from tests.amu_raft.backbones.random_statistics import randomise_statistics
from tests.conftest import build_tiny_clip

Build = Callable[[], nn.Module]


def clip_tower(**sizes: Any) -> nn.Module:
    """CLIP's visual tower without its pooling."""
    tower: nn.Module = build_tiny_clip(**sizes).visual
    tower.attnpool = nn.Identity()
    return tower


SMALL: dict[str, Any] = {"widths": [8, 16, 24, 32], "stem_width": 8}
NETWORKS: dict[str, Build] = {
    "CLIP": lambda: clip_tower(layers=(1, 2, 1, 1), width=4),
    "deeper CLIP": lambda: clip_tower(layers=(2, 2, 3, 2), width=6),
    "basic blocks": lambda: ResidualNetwork(BasicBlock, [1, 2, 1, 1], **SMALL),
    "basic blocks as the bundled ones": lambda: ResidualNetwork(
        BasicBlock, [1, 1, 1, 1], stem_kernel=3, max_pool=False, **SMALL
    ),
    "bottlenecks": lambda: ResidualNetwork(Bottleneck, [1, 2, 2, 1], **SMALL),
    "grouped bottlenecks": lambda: ResidualNetwork(Bottleneck, [1, 1, 1, 1], widths=[16, 16, 16, 16], groups=4),
}
both_kinds = pytest.mark.parametrize("name", NETWORKS)


def randomised(name: str, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    randomise_statistics(network)
    return network.eval().requires_grad_(False)


def images(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)).to(dtype)


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@both_kinds
@pytest.mark.parametrize("seed", range(3))
def test_folded_layers_agree_with_plain_ones(name: str, seed: int) -> None:
    network = randomised(name, seed=seed)
    assert difference(arrange_layers(network, "folded")(images()), network(images())) < 1e-5


@both_kinds
def test_what_is_left_is_rounding(name: str) -> None:
    network = randomised(name).double()
    assert difference(arrange_layers(network, "folded")(images(torch.float64)), network(images(torch.float64))) < 1e-13


@both_kinds
def test_every_normalisation_counts(name: str) -> None:
    network, pixels = randomised(name).double(), images(torch.float64)
    expected = arrange_layers(network, "folded")(pixels)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.1  # type: ignore[assignment, operator]
            assert difference(arrange_layers(network, "folded")(pixels), expected) > 1e-9
            module.running_mean -= 0.1  # type: ignore[assignment, operator]


@both_kinds
def test_the_network_itself_stays_as_it_is(name: str) -> None:
    network = randomised(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    expected = network(images())
    folded = arrange_layers(network, "folded")
    folded(images())
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(network(images()), expected) and arrange_layers(network, "plain") is network
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(module.training for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_maps_come_out_with_channels_last() -> None:
    maps = arrange_layers(randomised("CLIP"), "folded")(images())
    assert maps.shape == (3, 128, 2, 2) and maps.is_contiguous(memory_format=torch.channels_last)


def test_a_channel_by_hand() -> None:
    """(2 x + 0 - 3) / sqrt(3 + 1) * 4 + 5 = 4 x - 1."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=1.0)).eval()
    for tensor, value in zip((network[0].weight, *network[1].state_dict().values()), (2, 4, 5, 3, 3), strict=False):
        tensor.data.fill_(value)
    folded: Any = fold_normalisations(network)
    assert (folded[0].weight.item(), folded[0].bias.item()) == (4, -1)
    assert folded(torch.tensor([[[[3.0]]]])).item() == 11


def test_unknown_layers() -> None:
    assert ENCODER_LAYERS == ("folded", "plain")
    with pytest.raises(ValueError, match="unknown encoder layers 'fast'; choose from folded, plain"):
        arrange_layers(nn.Identity(), "fast")


@pytest.mark.parametrize("before", [[], [nn.ReLU()], [nn.Conv2d(3, 3, 1), nn.ReLU()]])
def test_a_normalisation_that_follows_no_convolution(before: list[nn.Module]) -> None:
    network = nn.Sequential(nn.Sequential(*before, nn.BatchNorm2d(3))).eval()
    with pytest.raises(ValueError, match=rf"normalisation '0.{len(before)}' has no convolution right before it"):
        fold_normalisations(network)
