import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amu_raft.model import top_classes as module
from amu_raft.model.top_classes import top_classes


def test_values_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.25, 0.05, 0.1]]))
    found = top_classes(logits)
    assert found.labels[0, :3].tolist() == [2, 3, 1] and found.labels.dtype == torch.int32
    torch.testing.assert_close(found.probabilities, torch.tensor([[0.3, 0.25, 0.2, 0.1, 0.1]]))


@pytest.mark.parametrize("num_classes", [1, 2, 4, 5, 6])
def test_fewer_than_five_classes(num_classes: int) -> None:
    logits = torch.randn(7, num_classes, generator=torch.Generator().manual_seed(0))
    found = top_classes(logits)
    assert found.labels.shape == found.probabilities.shape == (7, min(5, num_classes))
    if num_classes <= 5:
        torch.testing.assert_close(found.probabilities.sum(dim=1), torch.ones(7))


@given(st.lists(st.lists(st.integers(0, 2), min_size=7, max_size=7), min_size=1, max_size=9))
def test_equal_logits(rows: list[list[int]]) -> None:
    logits = torch.tensor(rows, dtype=torch.float32)
    found = top_classes(logits)
    assert torch.equal(found.labels[:, 0].long(), logits.argmax(dim=1))
    assert all(len(set(labels)) == 5 for labels in found.labels.tolist())
    expected = logits.softmax(dim=1).sort(dim=1, descending=True).values[:, :5]
    torch.testing.assert_close(found.probabilities, expected)
    torch.testing.assert_close(logits.softmax(dim=1).gather(1, found.labels.long()), expected)


def test_many_images_go_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(10, 9, generator=torch.Generator().manual_seed(0))
    whole = top_classes(logits)
    monkeypatch.setattr(module, "_BLOCK", 3)
    parts = top_classes(logits)
    assert torch.equal(whole.labels, parts.labels)
    torch.testing.assert_close(whole.probabilities, parts.probabilities)


def test_half_precision_masked_classes_and_gradients() -> None:
    logits = torch.tensor([[1.0, -torch.inf, 3.0]], dtype=torch.float16, requires_grad=True)
    found = top_classes(logits)
    assert found.labels.tolist() == [[2, 0, 1]] and found.probabilities.dtype == torch.float32
    assert found.probabilities[0, 2] == 0 and not found.probabilities.requires_grad
