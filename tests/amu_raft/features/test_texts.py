from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from amu_raft.features import texts
from amu_raft.features.store import FeatureStore
from amu_raft.features.texts import stored_text_features

IDENTITY = {"name": "clip", "sha256": "0" * 64, "precision": "fp32"}
PROMPTS = [["a cat.", "the cat."], ["a dog."]]
ROWS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


class Computed:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Tensor:
        self.times += 1
        return ROWS + self.times


@pytest.fixture
def compute() -> Computed:
    return Computed()


@pytest.fixture
def ask(tmp_path: Path, compute: Computed) -> Callable[..., Tensor]:
    def ask(prompts: Any = PROMPTS, *, kind: str = "class columns", num_rows: int = 2, **identity: str) -> Tensor:
        return stored_text_features(
            FeatureStore(tmp_path / "store"),
            {**IDENTITY, **identity},
            prompts,
            kind=kind,
            num_rows=num_rows,
            device=torch.device("cpu"),
            compute=compute,
        )

    return ask


def test_texts_are_computed_once(ask: Any, compute: Computed) -> None:
    for _ in range(3):
        found = ask()
        assert torch.equal(found, ROWS + 1) and found.dtype == torch.float32
    assert compute.times == 1


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": [["a cat.", "the cat."], ["a dog!"]]},
        {"prompts": [["a cat."], ["the cat.", "a dog."]]},  # the same sentences of other classes
        {"prompts": [["the cat.", "a cat."], ["a dog."]]},
        {"prompts": [["a dog."], ["a cat.", "the cat."]]},
        {"kind": "background column"},
        {"sha256": "1" * 64},
        {"name": "other"},
        {"precision": "amp"},
    ],
)
def test_another_key_is_computed(change: dict[str, Any], ask: Any, compute: Computed) -> None:
    ask()
    assert torch.equal(ask(**change), ROWS + 2) and torch.equal(ask(**change), ROWS + 2)
    assert torch.equal(ask(), ROWS + 1) and compute.times == 2


def test_other_libraries_and_arithmetic_are_computed(
    ask: Any, compute: Computed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    for times, (name, value) in enumerate(
        [("library_versions", lambda: {"torch": "0"}), ("describe_arithmetic", lambda device: {"device": "other"})], 2
    ):
        with monkeypatch.context() as patch:
            patch.setattr(texts, name, value)
            ask()
        assert compute.times == times


def test_damage_is_warned_about_once_and_computed_again(ask: Any, compute: Computed, tmp_path: Path) -> None:
    ask()
    [rows] = (tmp_path / "store").glob("??/*/rows.npy")
    rows.write_bytes(rows.read_bytes()[:-1] + b"!")
    with pytest.warns(UserWarning, match="stored features are damaged and computed again") as caught:
        assert torch.equal(ask(), ROWS + 2)
    assert len(caught) == 1 and compute.times == 2


def test_another_number_of_rows_than_announced(ask: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 of 3 announced rows have come"):
        ask(num_rows=3)
    assert not list((tmp_path / "store").glob("??/*"))
