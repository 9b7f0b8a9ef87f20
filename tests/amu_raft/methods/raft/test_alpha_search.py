import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from amu_raft.methods.raft.alpha_search import ALPHA_RULES, mix_logits, search_alpha
from amu_raft.methods.selection import Tuning


def two_classes(zero_shot_right: list[bool], region_right: list[bool]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of two classes, label 0; alpha 0.5 is a tie where the branches disagree, and a tie counts as class 0."""
    zero_shot = torch.tensor([[1.0, 0.0] if right else [0.0, 1.0] for right in zero_shot_right])
    region = torch.tensor([[1.0, 0.0] if right else [0.0, 1.0] for right in region_right])
    return zero_shot, region, torch.zeros(len(zero_shot), dtype=torch.long)


def alpha(found: Tuning) -> float:
    value: float = found.chosen["fusion_alpha"]
    return value


def test_mix_by_hand() -> None:
    zero_shot, region = torch.tensor([[1.0, 2.0]]), torch.tensor([[5.0, 0.0]])
    assert mix_logits(zero_shot, region, fusion_alpha=0.25).tolist() == [[2.0, 1.5]]
    assert mix_logits(zero_shot, region, fusion_alpha=0.0).tolist() == [[1.0, 2.0]]
    assert mix_logits(zero_shot, region, fusion_alpha=1.0).tolist() == [[5.0, 0.0]]


def test_the_released_grid() -> None:
    found = search_alpha(*two_classes([True], [True]), rule="first_best")
    assert found.axes["fusion_alpha"] == pytest.approx([number / 50 for number in range(51)], abs=1e-15)
    assert found.accuracies.shape == (51,) and found.num_images == 1 and found.rule.startswith("the first alpha")


def test_another_grid() -> None:
    found = search_alpha(*two_classes([True], [True]), low=-1.0, high=3.0, steps=4)
    assert found.axes["fusion_alpha"] == [-1.0, 0.0, 1.0, 2.0, 3.0]


def test_first_best_takes_the_first_of_equals() -> None:
    always = search_alpha(*two_classes([True] * 4, [True] * 4), rule="first_best", steps=10)
    assert alpha(always) == 0.0 and always.accuracy == 100.0
    never = search_alpha(*two_classes([False] * 4, [False] * 4), rule="first_best", steps=10)
    assert alpha(never) == 0.0 and never.accuracy == 0.0
    region_only = search_alpha(*two_classes([False] * 4, [True] * 4), rule="first_best", steps=10)
    assert alpha(region_only) == 0.5
    assert region_only.accuracies.tolist() == [0.0] * 5 + [100.0] * 6


def test_one_standard_error_stays_with_the_tuned_pooling() -> None:
    # 3 of 10 against 4 of 10: far within one standard error, 14.5 points.
    found = search_alpha(*two_classes([True] * 4 + [False] * 6, [True] * 3 + [False] * 7))
    assert alpha(found) == 1.0 and found.accuracy == 30.0


def test_one_standard_error_gives_way_to_a_clear_difference() -> None:
    # 16 of 100 against 84 of 100; alpha 0.5 still decides for the first branch.
    zero_shot = [True] * 84 + [False] * 16
    found = search_alpha(*two_classes(zero_shot, [not right for right in zero_shot]), steps=4)
    assert found.accuracies.tolist() == [84.0, 84.0, 100.0, 16.0, 16.0]
    assert alpha(found) == 0.5
    # Of equally good ones it is the one nearest to the tuned pooling.
    worse = search_alpha(*two_classes([True] * 100, [True] * 16 + [False] * 84), steps=4)
    assert worse.accuracies.tolist() == [100.0, 100.0, 100.0, 16.0, 16.0] and alpha(worse) == 0.5


def test_a_single_image_cannot_overrule_a_perfect_or_hopeless_pooling() -> None:
    # At 0 % or 100 % the standard error is zero; one image is still no evidence.
    assert alpha(search_alpha(*two_classes([True], [False]))) == 1.0
    assert alpha(search_alpha(*two_classes([True] + [False] * 19, [False] * 20))) == 1.0
    assert alpha(search_alpha(*two_classes([True] * 2 + [False] * 18, [False] * 20))) == 0.5


@given(
    rights=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30),
    rule=st.sampled_from(sorted(ALPHA_RULES)),
    steps=st.integers(1, 20),
)
def test_the_choice_is_on_the_grid_and_first_best_is_best(
    rights: list[tuple[bool, bool]], rule: str, steps: int
) -> None:
    found = search_alpha(*two_classes([z for z, _ in rights], [r for _, r in rights]), steps=steps, rule=rule)
    assert alpha(found) in found.axes["fusion_alpha"]
    assert found.accuracies[0] == pytest.approx(100 * sum(z for z, _ in rights) / len(rights))
    assert found.accuracies[-1] == pytest.approx(100 * sum(r for _, r in rights) / len(rights))
    if rule == "first_best":
        assert found.accuracy == float(found.accuracies.max())
    else:
        assert found.accuracy >= float(found.accuracies[-1])


def test_bad_arguments() -> None:
    logits = two_classes([True], [True])
    with pytest.raises(ValueError, match="unknown alpha rule 'best'; choose from one_standard_error, first_best"):
        search_alpha(*logits, rule="best")
    with pytest.raises(ValueError, match="at least one step, got 0"):
        search_alpha(*logits, steps=0)
    with pytest.raises(ValueError, match="accuracy of no images"):
        search_alpha(*(value[:0] for value in logits))
