"""RAFT's region attention: CLIP's attention pooling with a class and a background token."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amu_raft.backbones.clip_backbone import check_grid

POOLINGS = ("folded", "plain")


class RegionAttention(nn.Module):
    """Attention pooling over regions, read out at a class token and at a background token.

    A trainable copy of a CLIP attention pooling of any size. Both tokens start as the mean region with CLIP's first
    positional row, so they are equal at the start; they differ from CLIP's own vector, because the second token is
    one more key and value.

    Args:
        attention_pool: CLIP's layer, with ``positional_embedding`` (L + 1, E), ``{q,k,v,c}_proj`` and ``num_heads``.
        pooling: "folded" computes only what the two tokens read; "plain" lets every token attend, as the released
            code does, at several times the cost. Results and gradients are the same up to rounding.

    Raises:
        ValueError: If the layer is no attention pooling, or the kind of pooling is unknown.

    Source:
        RAFT (ICME 2024), region attention.
    """

    def __init__(self, attention_pool: nn.Module, *, pooling: str = "folded") -> None:
        super().__init__()
        source: Any = attention_pool
        names = ("positional_embedding", "num_heads", "q_proj", "k_proj", "v_proj", "c_proj")
        if missing := [name for name in names if not hasattr(source, name)]:
            raise ValueError(f"{type(source).__name__} is no attention pooling: it has no {missing[0]}")
        if pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {pooling!r}; choose from {', '.join(POOLINGS)}")
        rows = source.positional_embedding.detach().float()
        self.pooling = pooling
        self.num_heads = int(source.num_heads)
        self.positional_embedding = nn.Parameter(torch.cat([rows[:1], rows]))  # (L + 2, E)
        self.k_proj, self.q_proj, self.v_proj, self.c_proj = (
            copy.deepcopy(layer).float().requires_grad_(True)
            for layer in (source.k_proj, source.q_proj, source.v_proj, source.c_proj)
        )

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the feature grid."""
        side = round((self.positional_embedding.shape[0] - 2) ** 0.5)
        return side, side

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Pool feature maps (N, E, H, W) to class and background vectors, (N, O) each, not normalised.

        Raises:
            ValueError: If the grid does not match the positional embedding; the message names both.
        """
        tokens = self._tokens(maps)
        if self.pooling == "plain":
            readouts = self._let_all_attend(tokens)[:, :2]
        else:
            readouts = self._read_out(tokens, self._attention(tokens))
        return readouts[:, 0], readouts[:, 1]

    def _tokens(self, maps: Tensor) -> Tensor:
        """Return the mean region twice, then every region, with their positions: (N, L + 2, E)."""
        check_grid(maps, self.grid)
        regions = maps.to(self.positional_embedding.dtype).flatten(start_dim=2).transpose(1, 2)  # (N, L, E)
        mean = regions.mean(dim=1, keepdim=True)
        return torch.cat([mean, mean, regions], dim=1) + self.positional_embedding

    def _attention(self, tokens: Tensor) -> Tensor:
        """Return what the two first tokens read, from tokens (N, T, E): attention (N, 2 * heads, T), class first.

        A key is linear in its token, so the score q . (W_k x + b_k) equals (W_k^T q) . x + q . b_k: the two queries
        are carried into the space of the tokens instead of every token into the space of the keys.
        """
        num_images, width = tokens.shape[0], tokens.shape[2]
        head_width = width // self.num_heads
        queries = self.q_proj(tokens[:, :2]) * head_width**-0.5
        queries = queries.reshape(2 * num_images, self.num_heads, head_width).transpose(0, 1)  # (heads, 2N, E / heads)
        folded = queries @ self.k_proj.weight.view(self.num_heads, head_width, width)  # (heads, 2N, E)
        # Shifts all scores of a query alike, so it changes nothing but keeps the bias in the graph, as the plain layer.
        shift = queries @ self.k_proj.bias.view(self.num_heads, head_width, 1)  # (heads, 2N, 1)
        scores = self._by_image(folded) @ tokens.transpose(1, 2) + self._by_image(shift)
        return scores.softmax(dim=-1)

    def _read_out(self, tokens: Tensor, attention: Tensor) -> Tensor:
        """Pool tokens (N, T, E) by attention (N, 2 * heads, T), then project the pooled ones: (N, 2, O).

        A head's weights add up to 1, so projecting the weighted mean is the weighted mean of the projections.
        """
        num_images, width = tokens.shape[0], tokens.shape[2]
        head_width = width // self.num_heads
        pooled = (attention @ tokens).view(2 * num_images, self.num_heads, width).transpose(0, 1)  # (heads, 2N, E)
        values = pooled @ self.v_proj.weight.view(self.num_heads, head_width, width).transpose(1, 2)
        values = values.transpose(0, 1).reshape(num_images, 2, width) + self.v_proj.bias
        readouts: Tensor = self.c_proj(values)
        return readouts

    def _by_image(self, by_head: Tensor) -> Tensor:
        """Turn (heads, 2N, F) into (N, 2 * heads, F)."""
        return by_head.transpose(0, 1).reshape(-1, 2 * self.num_heads, by_head.shape[2])

    def _let_all_attend(self, tokens: Tensor) -> Tensor:
        """Apply the whole layer to tokens (N, T, E): every token is key, value and query, (N, T, O)."""
        sequence = tokens.transpose(0, 1)
        readouts, _ = F.multi_head_attention_forward(
            query=sequence,
            key=sequence,
            value=sequence,
            embed_dim_to_check=tokens.shape[-1],
            num_heads=self.num_heads,
            in_proj_weight=None,
            in_proj_bias=torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.c_proj.weight,
            out_proj_bias=self.c_proj.bias,
            use_separate_proj_weight=True,
            q_proj_weight=self.q_proj.weight,
            k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight,
            training=self.training,
            need_weights=False,
        )
        return readouts.transpose(0, 1)
