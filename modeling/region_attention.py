"""RAFT's region attention: CLIP's attention pooling with a class and a background token."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.clip_backbone import check_grid


class RegionAttention(nn.Module):
    """Attention pooling over regions, read out at a class token and at a background token.

    A trainable copy of a CLIP attention pooling of any size. Both tokens start as the mean region with CLIP's first
    positional row, so they are equal at the start; they differ from CLIP's own vector, because the second token is
    one more key and value.

    Args:
        attention_pool: CLIP's layer, with ``positional_embedding`` (L + 1, E), ``{q,k,v,c}_proj`` and ``num_heads``.

    Raises:
        ValueError: If the layer is no attention pooling.

    Source:
        RAFT (ICME 2024), region attention.
    """

    def __init__(self, attention_pool: nn.Module) -> None:
        super().__init__()
        source: Any = attention_pool
        names = ("positional_embedding", "num_heads", "q_proj", "k_proj", "v_proj", "c_proj")
        if missing := [name for name in names if not hasattr(source, name)]:
            raise ValueError(f"{type(source).__name__} is no attention pooling: it has no {missing[0]}")
        rows = source.positional_embedding.detach().float()
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
        pooled, _ = self._attend(maps, need_weights=False)
        return pooled[0], pooled[1]

    def attention_maps(self, maps: Tensor) -> Tensor:
        """Return how much each region counts, averaged over heads: (N, 2, H, W), class token first.

        The two mean tokens take the rest of the attention, so a map sums to less than 1.
        """
        _, weights = self._attend(maps, need_weights=True)
        assert weights is not None
        maps_of_tokens: Tensor = weights[:, :, 2:].unflatten(2, self.grid)
        return maps_of_tokens

    def _attend(self, maps: Tensor, *, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        check_grid(maps, self.grid)
        regions = maps.to(self.positional_embedding.dtype).flatten(start_dim=2).permute(2, 0, 1)  # (L, N, E)
        mean = regions.mean(dim=0, keepdim=True)
        tokens = torch.cat([mean, mean, regions]) + self.positional_embedding[:, None]  # (L + 2, N, E)
        return F.multi_head_attention_forward(
            query=tokens[:2],
            key=tokens,
            value=tokens,
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
            need_weights=need_weights,
        )
