import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amu_raft.backbones.clip_package import clip_model
from amu_raft.methods.raft.attention_maps import attention_maps
from amu_raft.methods.raft.region_attention import POOLINGS, RegionAttention

SIZES = [(1, 8, 1, 4), (2, 16, 2, 8), (3, 24, 3, 5), (7, 64, 8, 16)]  # grid, E, heads, O

every_size = pytest.mark.parametrize("size", SIZES)


def clip_pool(grid: int, width: int, heads: int, output: int) -> Any:
    torch.manual_seed(0)
    pool: Any = clip_model.AttentionPool2d(grid, width, heads, output)
    for parameter in pool.parameters():
        nn.init.normal_(parameter, std=width**-0.25)
    return pool.eval().requires_grad_(False)


def maps_for(grid: int, width: int, count: int = 3) -> Tensor:
    return torch.randn(count, width, grid, grid, generator=torch.Generator().manual_seed(9))


def by_torch(layer: Any, maps: Tensor, num_tokens: int) -> Tensor:
    """The same weights from torch's own layer: (N, T, T), averaged over heads."""
    regions = maps.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([regions.mean(dim=0, keepdim=True)] * num_tokens + [regions])
    tokens = tokens + layer.positional_embedding[:, None]
    _, weights = F.multi_head_attention_forward(
        query=tokens,
        key=tokens,
        value=tokens,
        embed_dim_to_check=tokens.shape[-1],
        num_heads=layer.num_heads,
        in_proj_weight=None,
        in_proj_bias=torch.cat([layer.q_proj.bias, layer.k_proj.bias, layer.v_proj.bias]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=layer.c_proj.weight,
        out_proj_bias=layer.c_proj.bias,
        use_separate_proj_weight=True,
        q_proj_weight=layer.q_proj.weight,
        k_proj_weight=layer.k_proj.weight,
        v_proj_weight=layer.v_proj.weight,
        training=False,
        need_weights=True,
    )
    assert weights is not None
    return weights


def tuned(pool: nn.Module, pooling: str = "folded") -> RegionAttention:
    """A copy whose two tokens differ, as after training."""
    layer = RegionAttention(pool, pooling=pooling)
    with torch.no_grad():
        layer.positional_embedding[0] += torch.linspace(-1, 1, layer.positional_embedding.shape[1])
    return layer


@every_size
def test_clips_own_pooling_attends_as_torch_says(size: tuple[int, int, int, int]) -> None:
    pool, maps = clip_pool(*size), maps_for(*size[:2])
    before = maps.clone()
    found = attention_maps(pool, maps)
    assert found.shape == (3, 1, size[0], size[0]) and torch.equal(maps, before)
    expected = by_torch(pool, maps, 1)[:, :1, 1:].unflatten(2, (size[0], size[0]))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@every_size
def test_rafts_pooling_attends_as_torch_says(size: tuple[int, int, int, int], pooling: str) -> None:
    layer, maps = tuned(clip_pool(*size), pooling), maps_for(*size[:2])
    found = attention_maps(layer, maps)
    assert found.shape == (3, 2, size[0], size[0]) and not found.requires_grad
    expected = by_torch(layer, maps, 2)[:, :2, 2:].unflatten(3 - 1, (size[0], size[0]))
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found[:, 0], found[:, 1])
    assert (found >= 0).all() and (found.sum(dim=(2, 3)) < 1).all()


def test_before_tuning_both_tokens_look_alike() -> None:
    found = attention_maps(RegionAttention(clip_pool(2, 16, 2, 8)), maps_for(2, 16))
    assert torch.equal(found[:, 0], found[:, 1])


def test_a_region_that_answers_the_query_is_looked_at() -> None:
    """One head, identity projections, no positions: the mean is asked, and the largest region answers."""
    pool = clip_pool(2, 4, 1, 4)
    for projection in (pool.q_proj, pool.k_proj):
        projection.weight.copy_(torch.eye(4))
        projection.bias.zero_()
    pool.positional_embedding.zero_()
    maps = torch.zeros(1, 4, 2, 2)
    maps[0, 0, 1, 0] = 8.0  # the mean is 2, its score 2 * 8 / 2 = 8, that of the mean itself 2 * 2 / 2 = 2
    found = attention_maps(pool, maps)[0, 0]
    shares = torch.tensor([[0.0, 0.0], [8.0, 0.0]]).exp() / (3 + torch.e**8 + torch.e**2)
    torch.testing.assert_close(found, shares, rtol=1e-5, atol=1e-7)


def test_half_precision_is_compared_in_float32() -> None:
    pool, maps = clip_pool(2, 16, 2, 8), maps_for(2, 16)
    found = attention_maps(pool.half(), maps.half())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, attention_maps(pool.float(), maps), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (1, 4)])
def test_another_grid_is_refused_by_name(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"feature grid {shape[0]} x {shape[1]} does not match a pos")):
        attention_maps(clip_pool(2, 16, 2, 8), torch.zeros(1, 16, *shape))
