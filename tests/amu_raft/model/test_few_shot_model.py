from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, renormalize
from amu_raft.methods import Explanation
from amu_raft.model.few_shot_model import FewShotModel, Scores
from tests.model_folders import TEMPERATURE, small_model

NAMES = ["a", "b", "c"]
PIXELS = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
ROWS = torch.arange(12.0).reshape(4, 3)
SCORES = Scores(
    ROWS,
    -ROWS,
    {"weight": ROWS[:, 0], "odd/name": ROWS[:, 1]},
    Explanation({"a {weight:.2g}": 2 * ROWS}, {"attention": torch.rand(4, 2, 5)}),
)


def test_scores_become_tensors_and_scores_again() -> None:
    tensors = SCORES.tensors()
    assert list(tensors) == [
        *("zero_shot", "adapted", "numbers/weight", "numbers/odd/name"),
        *("parts/a {weight:.2g}", "maps/attention"),
    ]
    again = Scores.of(tensors)
    assert again.tensors().keys() == tensors.keys()
    assert all(torch.equal(again.tensors()[name], tensor) for name, tensor in tensors.items())
    assert again.numbers.keys() == SCORES.numbers.keys() and again.explanation.maps.keys() == {"attention"}
    bare = Scores(ROWS, ROWS)
    assert list(bare.tensors()) == ["zero_shot", "adapted"] and not Scores.of(bare.tensors()).explanation.parts


def test_the_scores_of_one_image() -> None:
    one = SCORES.only(2)
    assert {name: tuple(tensor.shape) for name, tensor in one.tensors().items()} == {
        "zero_shot": (1, 3),
        "adapted": (1, 3),
        "numbers/weight": (1,),
        "numbers/odd/name": (1,),
        "parts/a {weight:.2g}": (1, 3),
        "maps/attention": (1, 2, 5),
    }
    for name, tensor in one.tensors().items():
        assert torch.equal(tensor[0], SCORES.tensors()[name][2])


def test_nothing_is_explained_unless_it_is_asked_for() -> None:
    for method in ("AMU", "RAFT"):
        model, _ = small_model(method, names=NAMES)
        plain, explained = model(PIXELS), model(PIXELS, explain=True)
        assert not plain.explanation.parts and not plain.explanation.maps
        assert explained.explanation.parts or explained.explanation.maps
        assert torch.equal(plain.adapted, explained.adapted)


def test_probabilities_are_calibrated() -> None:
    model, _ = small_model("ZeroshotCLIP", names=NAMES)
    scores = model(PIXELS)
    torch.testing.assert_close(model.probabilities(scores), (scores.adapted / TEMPERATURE).softmax(dim=1))
    assert torch.equal(FewShotModel(model.encoders, model.method).probabilities(scores), scores.adapted.softmax(dim=1))
    assert not scores.adapted.requires_grad and not model.training and model.num_classes == 3


def test_logits_alone_are_those_that_decide() -> None:
    for method in ("AMU", "RAFT", "ZeroshotCLIP"):
        model, _ = small_model(method, names=NAMES)
        assert torch.equal(model.logits(PIXELS), model(PIXELS).adapted) and model.device.type == "cpu"


def explained(method: str, **choices: Any) -> tuple[Scores, dict[str, Tensor]]:
    """Return a model's scores of the pictures, and the branches behind them."""
    model, _ = small_model(method, names=NAMES, choices=choices)
    images = renormalize(PIXELS, IDENTITY, CLIP_STATISTICS)
    return model(PIXELS, explain=True), model.method.branches(model.encoders.encode(images))


def test_amu_adds_up() -> None:
    scores, branches = explained("AMU")
    bias = scores.numbers["weight"][:, None] * branches["aux"]
    torch.testing.assert_close(scores.zero_shot + bias, scores.adapted)
    zero_shot, added, summed = scores.explanation.parts.values()
    assert list(scores.explanation.parts) == ["zero-shot logit", "weight {weight:.3g} x bias", "sum"]
    torch.testing.assert_close(added, bias)
    assert torch.equal(zero_shot, scores.zero_shot) and torch.equal(summed, scores.adapted)
    assert list(scores.numbers) == ["weight"] and scores.numbers["weight"].shape == (4,)
    assert not scores.explanation.maps


def test_raft_mixes_and_looks() -> None:
    scores, branches = explained("RAFT", fusion_alpha=0.7)
    torch.testing.assert_close(0.7 * branches["region"] + 0.3 * scores.zero_shot, scores.adapted)
    assert list(scores.explanation.maps) == ["class attention", "background attention"]
    assert not scores.explanation.parts and not scores.numbers
    for attention in scores.explanation.maps.values():
        assert attention.shape == (4, 2, 2) and bool((attention >= 0).all())


def test_zero_shot_clip_has_one_part() -> None:
    scores, _ = explained("ZeroshotCLIP")
    assert list(scores.explanation.parts) == ["zero-shot logit"] and torch.equal(scores.adapted, scores.zero_shot)
