import math

import pytest
import torch

from amu_raft.methods.amu.losses import amu_loss

LABELS = torch.tensor([0, 1])


def cross_entropy(row: list[float], label: int) -> float:
    return math.log(sum(math.exp(value) for value in row)) - row[label]


def test_amu_loss_by_hand() -> None:
    fused, aux = torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0]])
    loss = amu_loss(fused, aux, LABELS, fused_weight=0.35)
    expected_fused = (cross_entropy([2, 0], 0) + math.log(2)) / 2
    expected_aux = (math.log(2) + cross_entropy([0, 3], 1)) / 2
    assert float(loss.fused) == pytest.approx(expected_fused)
    assert float(loss.aux) == pytest.approx(expected_aux)
    assert float(loss.total) == pytest.approx(0.35 * expected_fused + 0.65 * expected_aux)


@pytest.mark.parametrize(("share", "part"), [(0.0, "aux"), (1.0, "fused")])
def test_the_ends_of_lambda(share: float, part: str) -> None:
    loss = amu_loss(torch.randn(2, 4), torch.randn(2, 4), LABELS, fused_weight=share)
    assert torch.equal(loss.total, getattr(loss, part))


@pytest.mark.parametrize("share", [-0.01, 1.01, math.nan])
def test_lambda_outside_0_to_1(share: float) -> None:
    with pytest.raises(ValueError, match=rf"must lie in \[0, 1\], got {share}"):
        amu_loss(torch.zeros(2, 3), torch.zeros(2, 3), LABELS, fused_weight=share)
