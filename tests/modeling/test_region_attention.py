import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modeling.clip_package import clip_model
from modeling.region_attention import RegionAttention

SIZES = [(1, 8, 1, 4), (2, 16, 2, 8), (3, 24, 3, 5), (7, 32, 8, 16), (2, 64, 64, 12)]  # grid, E, heads, O


def clip_pool(grid: int, width: int, heads: int, output: int, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    pool: nn.Module = clip_model.AttentionPool2d(grid, width, heads, output)
    for name, parameter in pool.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return pool.eval()


def maps_for(grid: int, width: int, count: int = 3) -> Tensor:
    return torch.randn(count, width, grid, grid, generator=torch.Generator().manual_seed(9))


def by_formula(layer: Any, maps: Tensor, *, mean_tokens: int = 2) -> tuple[Tensor, Tensor]:
    """Attention written out: readouts (mean tokens, N, O) and attention (N, heads, mean tokens, L + mean tokens)."""
    regions = maps.flatten(2)  # (N, E, L)
    mean = regions.mean(dim=2, keepdim=True)
    tokens = torch.cat([mean] * mean_tokens + [regions], dim=2).transpose(1, 2) + layer.positional_embedding
    heads = layer.num_heads

    def project(linear: nn.Linear) -> Tensor:
        projected: Tensor = torch.einsum("nte,fe->ntf", tokens, linear.weight) + linear.bias
        return projected.reshape(*tokens.shape[:2], heads, -1)

    queries, keys, values = project(layer.q_proj), project(layer.k_proj), project(layer.v_proj)
    scores = torch.einsum("nqhd,nkhd->nhqk", queries[:, :mean_tokens], keys) / keys.shape[-1] ** 0.5
    attention = (scores - scores.amax(-1, keepdim=True)).exp()
    attention = attention / attention.sum(-1, keepdim=True)
    pooled = torch.einsum("nhqk,nkhd->qnhd", attention, values).flatten(2)
    return torch.einsum("qne,oe->qno", pooled, layer.c_proj.weight) + layer.c_proj.bias, attention


def shaken(layer: RegionAttention, *, seed: int = 1) -> RegionAttention:
    """Move every parameter, so that the two tokens differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2 * float(parameter.std()))
    return layer


@pytest.mark.parametrize("size", SIZES)
def test_forward_is_the_formula(size: tuple[int, int, int, int]) -> None:
    grid, width, _, output = size
    layer, maps = shaken(RegionAttention(clip_pool(*size))), maps_for(grid, width)
    before = maps.clone()
    class_vectors, background_vectors = layer(maps)
    expected, _ = by_formula(layer, maps)
    assert class_vectors.shape == background_vectors.shape == (3, output)
    torch.testing.assert_close(class_vectors, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(background_vectors, expected[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(class_vectors, background_vectors) and torch.equal(maps, before)


def test_sizes_of_rn50() -> None:
    layer, maps = shaken(RegionAttention(clip_pool(7, 2048, 32, 1024))), maps_for(7, 2048, count=1)
    with torch.no_grad():
        torch.testing.assert_close(torch.stack(layer(maps)), by_formula(layer, maps)[0], rtol=1e-3, atol=1e-4)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 51 * 2048 + 3 * 2048 * 2049 + 1024 * 2049


@pytest.mark.parametrize("size", SIZES)
def test_gradients_are_the_formulas(size: tuple[int, int, int, int]) -> None:
    layer, maps = shaken(RegionAttention(clip_pool(*size))).double(), maps_for(*size[:2]).double()
    mixing = torch.randn(2, 3, size[3], generator=torch.Generator().manual_seed(2)).double()

    def gradients(readouts: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad((readouts * mixing).sum(), list(layer.parameters())))

    ours, expected = gradients(torch.stack(layer(maps))), gradients(by_formula(layer, maps)[0])
    for (name, _), found, wanted in zip(layer.named_parameters(), ours, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10, msg=name)
    names = [name for name, _ in layer.named_parameters()]
    zero = ours[names.index("k_proj.bias")]
    assert float(zero.abs().max()) < 1e-12  # it moves every score of a query alike
    moving = [found for found, name in zip(ours, names, strict=True) if name != "k_proj.bias"]
    assert all(float(found.abs().max()) > 1e-6 for found in moving)


@pytest.mark.parametrize("size", SIZES)
def test_the_start(size: tuple[int, int, int, int]) -> None:
    pool, maps = clip_pool(*size), maps_for(*size[:2])
    class_vectors, background_vectors = RegionAttention(pool)(maps)
    assert torch.equal(class_vectors, background_vectors)
    torch.testing.assert_close(pool(maps), by_formula(pool, maps, mean_tokens=1)[0][0], rtol=1e-4, atol=1e-5)
    if size[0] > 1:  # with a single region the mean is the region itself up to its position
        assert not torch.allclose(class_vectors, pool(maps), atol=1e-4)


def test_a_copy_not_a_view() -> None:
    pool = clip_pool(2, 16, 2, 8)
    pool.requires_grad_(False)
    before = {key: value.clone() for key, value in pool.state_dict().items()}
    layer = RegionAttention(pool)
    assert all(parameter.requires_grad for parameter in layer.parameters())
    shaken(layer)
    assert all(torch.equal(value, before[key]) for key, value in pool.state_dict().items())
    rows = RegionAttention(pool).positional_embedding
    assert (
        rows.shape == (6, 16)
        and torch.equal(rows[0], rows[1])
        and torch.equal(rows[1:], before["positional_embedding"])
    )


def test_released_layout_of_the_state_dict() -> None:
    projections = [f"{name}_proj.{part}" for name in "kqvc" for part in ("weight", "bias")]
    assert list(RegionAttention(clip_pool(2, 16, 2, 8)).state_dict()) == ["positional_embedding", *projections]


def test_half_precision_source_and_layer() -> None:
    pool = clip_pool(2, 16, 2, 8).half()
    layer = RegionAttention(pool)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float32}
    reference = layer(maps_for(2, 16))[0]
    half = layer.half()(maps_for(2, 16))[0]
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), reference, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("size", SIZES)
def test_attention_maps(size: tuple[int, int, int, int]) -> None:
    grid, width = size[:2]
    layer, maps = shaken(RegionAttention(clip_pool(*size))), maps_for(grid, width)
    found = layer.attention_maps(maps)
    _, attention = by_formula(layer, maps)
    assert found.shape == (3, 2, grid, grid)
    torch.testing.assert_close(found, attention.mean(dim=1)[:, :, 2:].unflatten(2, (grid, grid)), rtol=1e-4, atol=1e-6)
    assert (found >= 0).all() and (found.sum(dim=(2, 3)) < 1).all()


def test_images_do_not_see_each_other() -> None:
    layer, maps = shaken(RegionAttention(clip_pool(2, 16, 2, 8))), maps_for(2, 16, count=4)
    torch.testing.assert_close(layer(maps)[0][1:2], layer(maps[1:2])[0])


@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (1, 4)])
def test_another_grid_is_refused_by_name(shape: tuple[int, int]) -> None:
    layer = RegionAttention(clip_pool(2, 16, 2, 8))
    with pytest.raises(ValueError, match=re.escape(f"feature grid {shape[0]} x {shape[1]} does not match")):
        layer(torch.zeros(1, 16, *shape))


def test_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear is no attention pooling: it has no positional_embedding"):
        RegionAttention(nn.Linear(2, 2))
