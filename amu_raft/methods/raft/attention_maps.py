"""Where an attention pooling looks: attention of its read-out tokens over the regions of an image."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_TOKENS = 2  # RAFT's class and background token; CLIP's own pooling has the one


@torch.no_grad()
def attention_maps(attention_pool: nn.Module, maps: Tensor) -> Tensor:
    """Return how much each region counts for each token that is read out, averaged over heads.

    The mean tokens take the rest of the attention, so a map sums to less than 1.

    Args:
        attention_pool: CLIP's own pooling, with L + 1 positions and one token, or RAFT's copy, with L + 2 positions,
            class token first and background token second. L is the number of regions.
        maps: Feature maps (N, E, h, w) with h * w = L.

    Returns:
        (N, tokens, h, w) in float32, without gradient.

    Raises:
        ValueError: If the grid is not the one that the positional embedding was made for.
    """
    layer: Any = attention_pool
    positions = layer.positional_embedding.float()  # (L + tokens, E)
    grid = (int(maps.shape[-2]), int(maps.shape[-1]))
    num_tokens = len(positions) - grid[0] * grid[1]
    if grid[0] != grid[1] or not 1 <= num_tokens <= MAX_TOKENS:
        raise ValueError(
            f"feature grid {grid[0]} x {grid[1]} does not match a positional embedding of {len(positions)} rows; "
            f"it wants a square grid and one or {MAX_TOKENS} rows more than the grid has regions"
        )
    regions = maps.float().flatten(start_dim=2).transpose(1, 2)  # (N, L, E)
    means = regions.mean(dim=1, keepdim=True).expand(-1, num_tokens, -1)
    tokens = torch.cat([means, regions], dim=1) + positions
    queries = _heads(tokens[:, :num_tokens], layer.q_proj, layer.num_heads)
    keys = _heads(tokens, layer.k_proj, layer.num_heads)
    scores = queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5  # (N, heads, tokens, L + tokens)
    found: Tensor = scores.softmax(dim=-1).mean(dim=1)[..., num_tokens:].unflatten(-1, grid)
    return found


def _heads(tokens: Tensor, projection: nn.Linear, num_heads: int) -> Tensor:
    """Project tokens (N, T, E) and divide them among the heads: (N, heads, T, E / heads)."""
    bias = None if projection.bias is None else projection.bias.float()
    by_head: Tensor = F.linear(tokens, projection.weight.float(), bias).unflatten(-1, (num_heads, -1))
    return by_head.transpose(1, 2)
