import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from amu_raft.methods.gda import GDA, GDASettings, gda_classifier, shrunk_inverse, unseen_classifier
from amu_raft.methods.known_classes import match_classes
from amu_raft.methods.settings import SettingError
from tests.few_shot import Images, Shots, make_task

# Class 0 around (0.7, 0.7), class 1 around (-0.7, 0.7): together they scatter by 0.04 in both directions.
ROWS = torch.tensor([[0.6, 0.8], [0.8, 0.6], [-0.6, 0.8], [-0.8, 0.6]])
LABELS = torch.tensor([0, 0, 1, 1])
INVERSE = 2 / (0.04 + 0.08 / 3)  # 30, the same in both directions
WEIGHT = torch.tensor([[21.0, -21.0], [21.0, 21.0]])
BIAS = torch.full((2,), -math.log(2) - 14.7)
QUERY = {"clip": torch.tensor([[3.0, 4.0]])}  # (0.6, 0.8)


def solved(views: Any = None, labels: Any = LABELS, texts: Tensor | None = None, **settings: Any) -> GDA:
    views = ROWS[None] if views is None else views
    texts = torch.eye(2) if texts is None else texts
    method = GDA(GDASettings(augment_epoch=len(views), **settings), make_task(texts, logit_scale=10.0))
    method.start(Shots(labels, {"clip": views}))
    return method


def random_rows(count: int, width: int, seed: int) -> Tensor:
    rows = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


# --------------------------------------------------------------------------------------------------------- closed form


def test_the_shrunk_inverse_by_hand() -> None:
    found = shrunk_inverse(torch.diag(torch.tensor([1.0, 3.0])), 2)  # the trace of the covariance is 2
    torch.testing.assert_close(found, torch.diag(torch.tensor([2 / 3, 2 / 5])))
    assert torch.equal(shrunk_inverse(torch.zeros(3, 3), 5), torch.zeros(3, 3))


@given(width=st.integers(1, 8), count=st.integers(2, 20), seed=st.integers(0, 99))
def test_the_shrunk_inverse_is_positive_even_with_fewer_images_than_dimensions(
    width: int, count: int, seed: int
) -> None:
    rows = random_rows(count, width, seed).double()
    scatter = rows.t() @ rows
    found = shrunk_inverse(scatter, count)
    wanted = width * torch.linalg.pinv(scatter + scatter.trace() / count * torch.eye(width, dtype=torch.float64))
    torch.testing.assert_close(found, wanted)
    assert (torch.linalg.eigvalsh(found) > 0).all()


def test_the_classifier_by_hand() -> None:
    assert pytest.approx(30) == INVERSE
    rows, labels = ROWS.clone(), LABELS.clone()
    weight, bias = gda_classifier(rows, labels, 2)
    torch.testing.assert_close(weight, WEIGHT)
    torch.testing.assert_close(bias, BIAS)
    assert weight.dtype == bias.dtype == torch.float32
    assert torch.equal(rows, ROWS) and torch.equal(labels, LABELS)


def test_logits_by_hand() -> None:
    found = solved(alpha=0.5).branches(QUERY)
    torch.testing.assert_close(found["zero_shot"], torch.tensor([[6.0, 8.0]]))
    added = torch.tensor([[21 * 1.4, 21 * 0.2]]) + BIAS
    torch.testing.assert_close(found["adapted"], torch.tensor([[6.0, 8.0]]) + 0.5 * added)


def test_features_may_have_any_length() -> None:
    lengths = torch.tensor([1.0, 3.0, 0.1, 7.0])[:, None]
    method = solved((ROWS * lengths)[None])
    torch.testing.assert_close(method.weight, WEIGHT)
    torch.testing.assert_close(method.shots, ROWS)


def test_every_pass_is_a_sample() -> None:
    """Two passes of two images are as good as four images; nothing is averaged first."""
    views = torch.stack([ROWS[[0, 2]], ROWS[[1, 3]]])
    method = solved(views, torch.tensor([0, 1]))
    torch.testing.assert_close(method.weight, WEIGHT)
    torch.testing.assert_close(method.bias, BIAS)
    torch.testing.assert_close(method.shots, ROWS[[0, 2]])


@pytest.mark.parametrize("passes", [1, 3])
def test_one_image_of_each_class_that_never_changes_leaves_clip_alone(passes: int) -> None:
    method = solved(ROWS[None, 1:3].repeat(passes, 1, 1), torch.tensor([0, 1]), alpha=100.0)
    assert not method.weight.any()
    torch.testing.assert_close(method.bias, torch.full((2,), -math.log(2)))
    found = method.branches({"clip": random_rows(9, 2, 1)})
    torch.testing.assert_close(found["adapted"], found["zero_shot"] - 100 * math.log(2))


def test_images_of_a_class_count_but_not_its_size() -> None:
    """Class 0 has three times the images of class 1: the priors are equal, the scatter is not."""
    rows, labels = torch.cat([ROWS[:2], ROWS[:2], ROWS]), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
    weight, bias = gda_classifier(rows, labels, 2)
    means = torch.tensor([[0.7, 0.7], [-0.7, 0.7]])
    torch.testing.assert_close(bias, -math.log(2) - (means * weight.t()).sum(dim=1) / 2)
    # Scatter: six times (0.1, -0.1) and twice (0.1, 0.1); divisor 7.
    scatter = torch.tensor([[0.08, -0.04], [-0.04, 0.08]])
    torch.testing.assert_close(weight, 2 * (scatter + 0.16 / 7 * torch.eye(2)).inverse() @ means.t())


@given(seed=st.integers(0, 99), width=st.integers(2, 6))
def test_the_order_of_images_and_classes_does_not_matter(seed: int, width: int) -> None:
    rows, labels = random_rows(12, width, seed), torch.arange(12) % 3
    weight, bias = gda_classifier(rows, labels, 3)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    shuffled, _ = gda_classifier(rows[order], labels[order], 3)
    torch.testing.assert_close(shuffled, weight, rtol=1e-4, atol=1e-4)
    renamed, of_renamed = gda_classifier(rows, (labels + 1) % 3, 3)
    torch.testing.assert_close(renamed, weight.roll(1, dims=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(of_renamed, bias.roll(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_without_images(absent: int) -> None:
    labels = torch.tensor([label for label in range(3) if label != absent])[LABELS]
    weight, bias = gda_classifier(ROWS, labels, 3)
    present = [label for label in range(3) if label != absent]
    torch.testing.assert_close(weight[:, present], WEIGHT)
    assert not weight[:, absent].any() and bias[absent] == pytest.approx(-math.log(3))


def test_two_images_and_more_dimensions() -> None:
    rows = random_rows(4, 50, 5)
    weight, bias = gda_classifier(rows, LABELS, 2)
    assert torch.isfinite(weight).all() and torch.isfinite(bias).all()
    assert torch.equal((rows @ weight + bias).argmax(dim=1), LABELS)


# ------------------------------------------------------------------------------------------------------ unseen classes


def test_a_class_without_images_by_its_neighbours_by_hand() -> None:
    base, text = torch.eye(2), torch.tensor([[1.0], [0.0]])
    weight, bias = unseen_classifier(base, text, neighbours=2, copies=1)
    # Mean (2/3, 1/3); around the text both images scatter by [[1, -1], [-1, 1]], so P = [[3, 1], [1, 3]] / 4.
    torch.testing.assert_close(weight, torch.tensor([[7 / 12], [5 / 12]]))
    torch.testing.assert_close(bias, torch.tensor([-(14 / 36 + 5 / 36) / 2]))
    alone, _ = unseen_classifier(base, text, neighbours=1, copies=1)
    assert not alone.any()  # the one neighbour is the text itself: no scatter


def test_neighbours_are_the_nearest_and_at_most_all() -> None:
    base, texts = random_rows(9, 4, 2), random_rows(3, 4, 3).t()
    near = torch.stack([base[i] for i in range(9) if (base @ texts[:, 0]).argsort(descending=True)[:5].eq(i).any()])
    one, other = (unseen_classifier(rows, texts[:, :1], neighbours=5) for rows in (base, near))
    torch.testing.assert_close(one[0], other[0])
    torch.testing.assert_close(unseen_classifier(base, texts)[0], unseen_classifier(base, texts, neighbours=9)[0])


def test_many_copies_make_a_class_its_text() -> None:
    base, texts = random_rows(20, 4, 4), random_rows(2, 4, 5).t()
    weight, bias = unseen_classifier(base, texts, neighbours=6, copies=10**7)
    inverse = weight @ torch.linalg.pinv(texts)  # of the texts' plane, which is all that W tells
    torch.testing.assert_close(inverse @ texts, weight, rtol=1e-3, atol=1e-3)
    wanted = -math.log(2) - (texts * weight).sum(dim=0) / 2
    torch.testing.assert_close(bias, wanted, rtol=1e-3, atol=1e-3)


def asked_about(method: GDA, present: str) -> GDA:
    """Return a method that was trained on the classes a and b, asked about others."""
    texts = random_rows(len(present), 2, 6).t()
    asked = GDA(method.settings, make_task(texts, logit_scale=10.0))
    asked.load_state_dict(method.state_dict())
    asked.known = match_classes("ab", present)
    return asked


@pytest.mark.parametrize("present", ["bxa", "ba", "xy", "axyb"])
def test_unknown_classes_get_nothing_or_their_neighbours(present: str) -> None:
    unknown = [place for place, key in enumerate(present) if key not in "ab"]
    known = [place for place, key in enumerate(present) if key in "ab"]
    for unseen in ("zero_shot", "neighbours"):
        asked = asked_about(solved(alpha=2.0, unseen=unseen), present)
        found = asked.branches(QUERY)
        added = (found["adapted"] - found["zero_shot"]) / 2
        own = (torch.tensor([[0.6, 0.8]]) @ WEIGHT + BIAS)[:, ["ab".index(present[place]) for place in known]]
        torch.testing.assert_close(added[:, known], own)
        weight, bias = unseen_classifier(ROWS, asked.text_columns[:, unknown]) if unknown else (WEIGHT, BIAS)
        wanted = torch.tensor([[0.6, 0.8]]) @ weight + bias if unknown else torch.zeros(1, 0)
        torch.testing.assert_close(added[:, unknown], wanted if unseen == "neighbours" else torch.zeros_like(wanted))


# ------------------------------------------------------------------------------------------------------------- choice


def wrong_by_clip(**settings: Any) -> tuple[GDA, Images]:
    """Return a method for classes whose texts CLIP exchanges, and images of them."""
    method = solved(texts=torch.tensor([[-0.6, 0.6], [0.8, 0.8]]), **settings)
    return method, Images(method, {"clip": ROWS.repeat(10, 1)}, LABELS.repeat(10))


@pytest.mark.parametrize("rule", ["first_best", "one_standard_error"])
def test_alpha_is_chosen(rule: str) -> None:
    method, images = wrong_by_clip(alpha=0.01, tune_alphas="0.001, 0.01, 1, 10", rule=rule)
    tuning = method.choose(images)
    assert tuning is not None and tuning.axes == {"alpha": [0.001, 0.01, 1.0, 10.0]} and tuning.num_images == 40
    assert tuning.accuracies.tolist() == [0.0, 0.0, 100.0, 100.0]
    assert method.choices["alpha"] == tuning.chosen["alpha"] == 1.0  # the first of two; also the one nearer to 0.01
    branches, labels = images()
    assert (branches["adapted"].argmax(dim=1) == labels).all()


@pytest.mark.parametrize("rule", ["first_best", "one_standard_error"])
def test_nothing_right_keeps_alpha(rule: str) -> None:
    method, images = wrong_by_clip(alpha=0.01, tune_alphas="0.001, 0.01", rule=rule)
    method.choose(images)
    assert method.choices["alpha"] == 0.01


def test_what_is_better_by_chance_is_not_taken() -> None:
    method, images = wrong_by_clip(alpha=0.01, tune_alphas="0.01, 10")
    one = Images(method, {"clip": ROWS[:1]}, LABELS[:1])
    method.choose(one)
    assert method.choices["alpha"] == 0.01
    method.choose(images)
    assert method.choices["alpha"] == 10.0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tune", "yes", "is 'yes'; choose from off, post_hoc, kept"),
        ("rule", "best", "is 'best'; choose from one_standard_error, first_best"),
        ("unseen", "none", "is 'none'; choose from zero_shot, neighbours"),
        ("augment_epoch", 0, "must be at least 1, got 0"),
        ("tune_alphas", "1, x", "is a list of numbers such as \"0.5, 1, 2\", got '1, x'"),
        ("tune_alphas", "-1", "has -1.0; numbers from 0 to inf are accepted"),
    ],
)
def test_settings_that_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        GDASettings(**{name: value})
    assert str(caught.value) == f"setting {name} {message}"


# -------------------------------------------------------------------------------------------------- kept and read again


def test_a_folder_gives_the_same_method() -> None:
    method = solved(alpha=3.0)
    method.choices = {"alpha": 0.1, "unseen": "neighbours"}
    again = GDA.from_folder(method.task, method.state_dict(), method.kept_choices())
    assert again.choices == method.choices and again.sizes() == {"N": 4, "D": 2, "C": 2, "F": 0}
    assert torch.equal(again.branches(QUERY)["adapted"], method.branches(QUERY)["adapted"])
    asked = asked_about(method, "bxa")
    again = GDA.from_folder(asked.task, asked.state_dict(), asked.kept_choices())
    assert torch.equal(again.branches(QUERY)["adapted"], asked.branches(QUERY)["adapted"])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("bias", (3,), r"bias has shape \(3,\); \(C\) = \(2,\) is wanted"),
        ("weight", (3, 2), r"weight has shape \(3, 2\); \(D, C\) = \(2, 2\) is wanted"),
        ("shots", (4, 5), r"shots has shape \(4, 5\); \(N, D\) = \(4, 2\) is wanted"),
        ("weight", (4,), "size mismatch for weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, shape: Any, message: str) -> None:
    tensors = {**solved().state_dict(), name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=message) as caught:
        GDA.from_folder(make_task(torch.eye(2)), tensors, {"alpha": 1.0, "unseen": "zero_shot", "known": None})
    assert "\n" not in str(caught.value)


def test_there_is_no_loss() -> None:
    with pytest.raises(NotImplementedError, match="GDA is not trained by gradient"):
        solved().loss(QUERY, torch.tensor([0]))
