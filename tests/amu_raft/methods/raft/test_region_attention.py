import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from amu_raft.backbones.clip_package import clip_model
from amu_raft.backbones.precision import Precision
from amu_raft.methods.raft.attention_maps import attention_maps
from amu_raft.methods.raft.region_attention import POOLINGS, RegionAttention

SIZES = [(1, 8, 1, 4), (2, 16, 2, 8), (3, 24, 3, 5), (7, 32, 8, 16), (2, 64, 64, 12)]  # grid, E, heads, O
RN50 = (7, 2048, 32, 1024)

every_size = pytest.mark.parametrize("size", SIZES)
both_poolings = pytest.mark.parametrize("pooling", POOLINGS)


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
            parameter.add_(
                torch.randn(parameter.shape, generator=generator), alpha=0.2 * float(parameter.square().mean().sqrt())
            )
    return layer


def gradients(layer: nn.Module, maps: Tensor, readouts: Tensor) -> dict[str, Tensor]:
    """Gradients of a random weighted sum of readouts (2, N, O), for every parameter and for the maps."""
    mixing = torch.randn(readouts.shape, generator=torch.Generator().manual_seed(2)).to(readouts)
    sources = {**dict(layer.named_parameters()), "maps": maps}
    found = torch.autograd.grad((readouts * mixing).sum(), list(sources.values()))
    return dict(zip(sources, found, strict=True))


def relative_error(found: Tensor, wanted: Tensor) -> float:
    found, wanted = found.detach().float(), wanted.detach().float()
    return float((found - wanted).norm() / wanted.norm())


@both_poolings
@every_size
def test_forward_is_the_formula(size: tuple[int, int, int, int], pooling: str) -> None:
    grid, width, _, output = size
    layer, maps = shaken(RegionAttention(clip_pool(*size), pooling=pooling)), maps_for(grid, width)
    before = maps.clone()
    class_vectors, background_vectors = layer(maps)
    expected, _ = by_formula(layer, maps)
    assert class_vectors.shape == background_vectors.shape == (3, output)
    torch.testing.assert_close(class_vectors, expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(background_vectors, expected[1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(class_vectors, background_vectors) and torch.equal(maps, before)


@both_poolings
@every_size
def test_gradients_are_the_formulas(size: tuple[int, int, int, int], pooling: str) -> None:
    layer = shaken(RegionAttention(clip_pool(*size), pooling=pooling)).double()
    maps = maps_for(*size[:2]).double().requires_grad_()
    ours = gradients(layer, maps, torch.stack(layer(maps)))
    expected = gradients(layer, maps, by_formula(layer, maps)[0])
    for name, wanted in expected.items():
        torch.testing.assert_close(ours[name], wanted, rtol=1e-8, atol=1e-10, msg=name)
    zero = ours.pop("k_proj.bias")
    assert float(zero.abs().max()) < 1e-12  # it moves every score of a query alike
    assert all(float(found.abs().max()) > 1e-6 for found in ours.values())


# -------------------------------------------------------------------------------------------------- folded and plain


def two_layers(pool: nn.Module) -> tuple[RegionAttention, RegionAttention]:
    """The same weights, which give the tokens different vectors, in a folded and in a plain layer."""
    folded, plain = (shaken(RegionAttention(pool, pooling=pooling)) for pooling in POOLINGS)
    assert (folded.pooling, plain.pooling) == ("folded", "plain") and folded.state_dict().keys() == dict(
        plain.named_parameters()
    ).keys()
    return folded, plain


def test_folded_is_plain_at_rn50s_sizes() -> None:
    pool: Any = clip_pool(*RN50)
    with torch.no_grad():  # tokens that differ and attention that is far from uniform
        for parameter, factor in ((pool.positional_embedding, 30), (pool.q_proj.weight, 3), (pool.k_proj.weight, 3)):
            parameter.mul_(factor)
    folded, plain = two_layers(pool)
    maps = maps_for(*RN50[:2], count=8).requires_grad_()
    ours, theirs = torch.stack(folded(maps)), torch.stack(plain(maps))
    assert ours.shape == (2, 8, 1024) and relative_error(ours[0], ours[1]) > 0.05
    assert float(attention_maps(folded, maps).amax()) > 0.1  # over 32 heads; 1 / 51 if it were uniform
    assert relative_error(ours, theirs) < 1e-5
    found, expected = gradients(folded, maps, ours), gradients(plain, maps, theirs)
    scale = float(expected["q_proj.bias"].norm())
    for zero in (found.pop("k_proj.bias"), expected.pop("k_proj.bias")):
        assert float(zero.norm()) < 1e-5 * scale  # zero in theory, rounding noise in both
    errors = {name: relative_error(found[name], wanted) for name, wanted in expected.items()}
    assert len(errors) == 9 and max(errors.values()) < 1e-5, errors
    assert sum(parameter.numel() for parameter in folded.parameters()) == 51 * 2048 + 3 * 2048 * 2049 + 1024 * 2049


@settings(max_examples=60, deadline=None)
@given(
    grid=st.integers(1, 4),
    heads=st.integers(1, 5),
    head_width=st.integers(1, 9),
    output=st.integers(1, 9),
    count=st.integers(0, 4),
    seed=st.integers(0, 2**31),
)
def test_folded_is_plain(grid: int, heads: int, head_width: int, output: int, count: int, seed: int) -> None:
    width = heads * head_width
    folded, plain = (layer.double() for layer in two_layers(clip_pool(grid, width, heads, output, seed=seed)))
    maps = maps_for(grid, width, count=count).double().requires_grad_()
    ours, theirs = torch.stack(folded(maps)), torch.stack(plain(maps))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    found, expected = gradients(folded, maps, ours), gradients(plain, maps, theirs)
    for name, wanted in expected.items():
        torch.testing.assert_close(found[name], wanted, rtol=1e-8, atol=1e-8, msg=name)


def test_folded_rounds_no_worse_than_plain_under_autocast() -> None:
    folded, plain = two_layers(clip_pool(4, 256, 8, 128))
    maps = maps_for(4, 256, count=8).requires_grad_()
    exact = torch.stack(plain(maps))
    wanted = {"readouts": exact.detach(), **gradients(plain, maps, exact)}
    wanted.pop("k_proj.bias")
    errors = []
    for layer in (folded, plain):
        with Precision("amp").autocast("cpu"):
            readouts = torch.stack(layer(maps))
        assert readouts.dtype == torch.bfloat16
        found = {"readouts": readouts.detach(), **gradients(layer, maps, readouts)}
        assert all(found[name].dtype == torch.float32 for name in wanted if name != "readouts")
        errors.append({name: relative_error(found[name], value) for name, value in wanted.items()})
    for name, error in errors[0].items():
        assert 0 < error < 0.05 and error < 2 * errors[1][name], (name, error, errors[1][name])


# --------------------------------------------------------------------------------------------------------- the layer


@both_poolings
@every_size
def test_the_start(size: tuple[int, int, int, int], pooling: str) -> None:
    pool, maps = clip_pool(*size), maps_for(*size[:2])
    class_vectors, background_vectors = RegionAttention(pool, pooling=pooling)(maps)
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


@both_poolings
def test_half_precision_source_and_layer(pooling: str) -> None:
    pool = clip_pool(2, 16, 2, 8).half()
    layer = RegionAttention(pool, pooling=pooling)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float32}
    reference = layer(maps_for(2, 16))[0]
    half = layer.half()(maps_for(2, 16))[0]
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), reference, rtol=0.02, atol=0.02)


@both_poolings
def test_images_do_not_see_each_other(pooling: str) -> None:
    layer, maps = shaken(RegionAttention(clip_pool(2, 16, 2, 8), pooling=pooling)), maps_for(2, 16, count=4)
    torch.testing.assert_close(layer(maps)[0][1:2], layer(maps[1:2])[0])


@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (1, 4)])
def test_another_grid_is_refused_by_name(shape: tuple[int, int]) -> None:
    layer = RegionAttention(clip_pool(2, 16, 2, 8))
    with pytest.raises(ValueError, match=re.escape(f"feature grid {shape[0]} x {shape[1]} does not match")):
        layer(torch.zeros(1, 16, *shape))


def test_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear is no attention pooling: it has no positional_embedding"):
        RegionAttention(nn.Linear(2, 2))


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pooling 'fast'; choose from folded, plain"):
        RegionAttention(clip_pool(2, 16, 2, 8), pooling="fast")
