import pytest
import torch

from dassl.metrics import compute_accuracy, compute_distance_matrix, cosine_distance, euclidean_squared_distance


def test_accuracy_by_hand() -> None:
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
    target = torch.tensor([1, 2, 0, 0])
    top1, top2, top3 = compute_accuracy(scores, target, topk=(1, 2, 3))
    assert (top1.item(), top2.item(), top3.item()) == (50.0, 75.0, 100.0)
    assert top1.shape == (1,)
    assert top1.dtype == torch.float32


def test_accuracy_uses_the_first_of_several_outputs() -> None:
    (accuracy,) = compute_accuracy((torch.eye(3), torch.zeros(3)), torch.tensor([0, 1, 1]))
    assert accuracy.item() == pytest.approx(200 / 3)


def test_distances_by_hand() -> None:
    a, b = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0]])
    assert euclidean_squared_distance(a, b).tolist() == [[25, 1, 100], [0, 18, 25]]
    assert torch.allclose(cosine_distance(a[1:], b), torch.tensor([[0.0, 0.2, 0.0]]), atol=1e-6)
    assert torch.equal(compute_distance_matrix(a, b), euclidean_squared_distance(a, b))
    assert torch.equal(compute_distance_matrix(a, b, "cosine"), cosine_distance(a, b))


def test_distance_errors() -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        compute_distance_matrix(torch.ones(1, 2), torch.ones(1, 2), "nope")
    with pytest.raises(ValueError, match=r"Expected \(N, D\) and \(M, D\), but got \(1, 2\) and \(1, 3\)"):
        compute_distance_matrix(torch.ones(1, 2), torch.ones(1, 3))
