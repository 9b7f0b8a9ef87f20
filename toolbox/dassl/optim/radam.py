"""Rectified Adam with decoupled weight decay."""

from typing import Any

import torch


class RAdam(torch.optim.RAdam):
    """torch's rectified Adam; weight decay shrinks the weights directly instead of joining the gradient.

    Source:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (ICLR 2020).
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, decoupled_weight_decay=True)
