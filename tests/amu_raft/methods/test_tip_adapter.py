import math
from typing import Any

import pytest
import torch
from torch import Tensor

from amu_raft.methods.known_classes import match_classes
from amu_raft.methods.settings import SettingError
from amu_raft.methods.tip_adapter import (
    TipAdapter,
    TipAdapterF,
    TipAdapterSettings,
    cache_keys,
    cache_logits,
    search,
)
from tests.few_shot import Images, Shots, make_task

AXES = torch.eye(2)  # the texts of two classes, (D, C) = (2, 2)
KINDS = [TipAdapter, TipAdapterF]
QUERY = {"clip": torch.tensor([[3.0, 4.0]])}  # (0.6, 0.8) once it has length 1


def filled(
    kind: type[TipAdapter] = TipAdapter,
    images: Any = ((1.0, 0.0), (0.0, 1.0)),
    labels: Any = (0, 1),
    texts: Tensor = AXES,
    **settings: Any,
) -> TipAdapter:
    """Return a method with a cache of one pass over some images."""
    method = kind(TipAdapterSettings(augment_epoch=1, **settings), make_task(texts, logit_scale=10.0))
    method.start(Shots(torch.tensor(labels), {"clip": torch.tensor([images])}))
    return method


# -------------------------------------------------------------------------------------------------------------- cache


def test_keys_by_hand() -> None:
    views = torch.tensor([[[3.0, 0.0], [0.0, 1.0]], [[0.0, 4.0], [0.0, 3.0]]])
    before = views.clone()
    torch.testing.assert_close(cache_keys(views), torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    assert torch.equal(views, before)


def test_passes_count_by_their_length() -> None:
    """The mean is over raw features: a pass of twice the length pulls twice as much."""
    short, long = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]), torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])
    torch.testing.assert_close(cache_keys(short), torch.full((1, 2), 0.5**0.5))
    torch.testing.assert_close(cache_keys(long), torch.tensor([[1.0, 2.0]]) / 5**0.5)
    torch.testing.assert_close(cache_keys(long.half()), torch.tensor([[1.0, 2.0]]) / 5**0.5)


def test_votes_by_hand() -> None:
    affinity, values = torch.tensor([[1.0, 0.5, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    votes = cache_logits(affinity, values, beta=2.0)
    torch.testing.assert_close(votes, torch.tensor([[1 + math.exp(-1), math.exp(-2)]]))
    torch.testing.assert_close(cache_logits(affinity, values, beta=0.0), torch.tensor([[2.0, 1.0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_logits_by_hand(kind: type[TipAdapter]) -> None:
    found = filled(kind, beta=3.0, alpha=5.0).branches(QUERY)
    torch.testing.assert_close(found["zero_shot"], torch.tensor([[6.0, 8.0]]))
    wanted = torch.tensor([[6 + 5 * math.exp(-3 * 0.4), 8 + 5 * math.exp(-3 * 0.2)]])
    torch.testing.assert_close(found["adapted"].detach(), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_without_alpha_clip_decides(kind: type[TipAdapter]) -> None:
    found = filled(kind, alpha=0.0).branches(QUERY)
    assert torch.equal(found["adapted"], found["zero_shot"])


def test_every_image_has_a_vote() -> None:
    """Nothing is divided by the size of a class."""
    method = filled(images=[[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], labels=[1, 0, 1, 1], beta=1.0, alpha=1.0)
    found = method.branches({"clip": torch.tensor([[0.0, 2.0]])})
    torch.testing.assert_close(found["adapted"] - found["zero_shot"], torch.tensor([[math.exp(-1), 3.0]]))


def test_the_order_of_images_does_not_matter() -> None:
    images, labels = torch.randn(6, 2, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 1, 0, 1, 1])
    order = torch.tensor([3, 5, 0, 2, 1, 4])
    one = filled(images=images.tolist(), labels=labels.tolist())
    other = filled(images=images[order].tolist(), labels=labels[order].tolist())
    torch.testing.assert_close(one.branches(QUERY)["adapted"], other.branches(QUERY)["adapted"])


def test_a_class_without_images_has_no_votes() -> None:
    texts = torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]])
    method = filled(texts=texts)  # the last class has none, and its column is there
    assert method.values.tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    found = method.branches(QUERY)
    assert (found["adapted"] > found["zero_shot"]).tolist() == [[True, True, False]]
    assert found["adapted"][0, 2] == found["zero_shot"][0, 2]


def test_inputs_are_left_as_they_are() -> None:
    views, labels, query = torch.tensor([[[3.0, 0.0], [0.0, 7.0]]]), torch.tensor([0, 1]), QUERY["clip"].clone()
    for kind in KINDS:
        method = kind(TipAdapterSettings(augment_epoch=1), make_task(AXES))
        method.start(Shots(labels, {"clip": views}))
        method.branches({"clip": query})
        method.choose(Images(method, {"clip": query}, torch.tensor([1])))
    assert views.tolist() == [[[3.0, 0.0], [0.0, 7.0]]] and labels.tolist() == [0, 1]
    assert torch.equal(query, QUERY["clip"]) and torch.equal(AXES, torch.eye(2))


def test_as_many_passes_as_are_set() -> None:
    method = TipAdapter(TipAdapterSettings(augment_epoch=3), make_task(AXES))
    method.start(Shots(torch.tensor([0]), {"clip": torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]], [[1.0, 3.0]]])}))
    torch.testing.assert_close(method.keys, torch.tensor([[0.5**0.5, 0.5**0.5]]))


# ------------------------------------------------------------------------------------------------------------- choice


def test_a_search_by_hand() -> None:
    """One image of class 0 that CLIP takes for class 1, by 2; its key is at distance 0.5, the other one at 1."""
    zero_shot, affinity, values = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.5, 0.0]]), torch.eye(2)
    betas, alphas = [0.0, 1.0, 2.0], [0.0, 8.0, 9.0, 10.0]
    found = search(zero_shot, affinity, values, torch.tensor([0]), [betas, alphas])
    # The gain at each beta is alpha (exp(-beta / 2) - exp(-beta)): 0, 0.2387 alpha, 0.2325 alpha.
    assert found.tolist() == [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 100.0, 100.0], [0.0, 0.0, 100.0, 100.0]]


def hard(kind: type[TipAdapter], **settings: Any) -> tuple[TipAdapter, Images]:
    """Return a method whose zero-shot CLIP takes two classes for one another, and images of them: 0 to 100 % right."""
    method = filled(kind, labels=[1, 0], **settings)
    features = {"clip": torch.tensor([[1.0, 0.1], [0.1, 1.0]] * 20)}
    return method, Images(method, features, torch.tensor([1, 0] * 20))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["first_best", "one_standard_error"])
def test_what_is_chosen_decides(kind: type[TipAdapter], rule: str) -> None:
    method, images = hard(
        kind, alpha=1.0, beta=1.0, scale_alpha=100.0, scale_beta=9.0, steps_alpha=10, steps_beta=4, rule=rule
    )
    before = method.branches(images.features()[0])["adapted"]
    assert (before.argmax(dim=1) != images.labels).all()
    tuning = method.choose(images)
    assert tuning is not None and list(tuning.axes) == ["beta", "alpha"] and tuning.num_images == 40
    assert tuning.accuracy == 100.0 and method.choices == tuning.chosen
    after, labels = images()
    assert (after["adapted"].argmax(dim=1) == labels).all()


@pytest.mark.parametrize("rule", ["first_best", "one_standard_error"])
def test_nothing_right_keeps_what_is_configured(rule: str) -> None:
    method = filled(rule=rule, alpha=1.5, beta=2.5, steps_beta=3, steps_alpha=3)
    tuning = method.choose(Images(method, {"clip": torch.tensor([[1.0, 0.0]])}, torch.tensor([1])))
    assert tuning is None if rule == "first_best" else tuning is not None and not tuning.accuracies.any()
    assert method.choices == {"alpha": 1.5, "beta": 2.5}


def test_one_image_more_is_no_reason_to_change() -> None:
    method, images = hard(TipAdapter, alpha=1.0, scale_alpha=100.0, steps_alpha=10, steps_beta=2)
    one_image = {"clip": images.features()[0]["clip"][:1]}
    method.choose(Images(method, one_image, images.labels[:1]))
    assert method.choices == {"alpha": 1.0, "beta": 1.0}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tune", "sometimes", "is 'sometimes'; choose from off, post_hoc, kept"),
        ("rule", "best", "is 'best'; choose from one_standard_error, first_best"),
        ("augment_epoch", 0, "must be at least 1, got 0"),
        ("steps_alpha", 0, "must be at least 1, got 0"),
        ("steps_beta", -3, "must be at least 1, got -3"),
    ],
)
def test_settings_that_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        TipAdapterSettings(**{name: value})
    assert str(caught.value) == f"setting {name} {message}"


# ------------------------------------------------------------------------------------------------------------ training


def test_the_loss_by_hand() -> None:
    method = filled(TipAdapterF, beta=1.0, alpha=2.0)
    loss = method.loss(QUERY, torch.tensor([0]))
    votes = torch.tensor([2 * math.exp(-0.4), 2 * math.exp(-0.2)])
    torch.testing.assert_close(loss.logits.detach(), torch.tensor([[6.0, 8.0]]) + votes)
    gap = float(2 + votes[1] - votes[0])
    assert loss.total.item() == pytest.approx(math.log(1 + math.exp(gap)))
    loss.total.backward()
    # d loss / d key_n = (p_c - [c = label]) alpha beta vote_n f, and each key votes for a class of its own
    wrong = 1 / (1 + math.exp(-gap))
    share = torch.tensor([-wrong, wrong]) * votes
    assert isinstance(method.keys.grad, Tensor)
    torch.testing.assert_close(method.keys.grad, share[:, None] * torch.tensor([[0.6, 0.8]]))


def test_only_the_keys_are_trained() -> None:
    method = filled(TipAdapterF)
    assert [name for name, _ in method.trained.named_parameters()] == ["keys"]
    assert set(method.state_dict()) == {"keys", "values"}


def test_trained_keys_keep_their_length() -> None:
    method = filled(TipAdapterF, beta=1.0, alpha=1.0)
    method.keys.data *= 2
    added = method.branches(QUERY)["adapted"] - method.zero_shot(QUERY)
    torch.testing.assert_close(added.detach(), torch.tensor([[math.exp(-1 + 1.2), math.exp(-1 + 1.6)]]))


def test_the_loss_is_of_the_configured_settings() -> None:
    method = filled(TipAdapterF, beta=1.0, alpha=2.0)
    before = method.loss(QUERY, torch.tensor([0])).total.item()
    method.choices = {"beta": 5.0, "alpha": 50.0}
    assert method.loss(QUERY, torch.tensor([0])).total.item() == before


def test_an_optimiser_holds_the_keys_before_and_after_the_start() -> None:
    method = TipAdapterF(TipAdapterSettings(augment_epoch=1), make_task(AXES))
    parameter = method.keys
    method.start(Shots(torch.tensor([0, 1]), {"clip": torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])}))
    assert method.keys is parameter and parameter.requires_grad and parameter.shape == (2, 2)


def test_the_plain_one_has_no_loss() -> None:
    with pytest.raises(NotImplementedError, match="TipAdapter is not trained by gradient"):
        filled().loss(QUERY, torch.tensor([0]))


def test_the_recipe_is_the_released_one() -> None:
    recipe = TipAdapterF.recipe
    assert (recipe.optimizer, recipe.lr, recipe.eps, recipe.weight_decay) == ("adamw", 1e-3, 1e-4, 0.01)
    assert (recipe.epochs, recipe.batch_size, recipe.crop_scale) == (20, 256, (0.5, 1.0))
    rates = filled(TipAdapterF).rates(recipe.changed(epochs=2), 2)
    assert rates == pytest.approx([1e-3 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)])


# -------------------------------------------------------------------------------------------------- kept and read again


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_the_same_method(kind: type[TipAdapter]) -> None:
    method = filled(kind, alpha=3.0, beta=0.5)
    method.choices = {"beta": 4.0, "alpha": 2.0}
    again = kind.from_folder(method.task, method.state_dict(), method.kept_choices())
    assert again.choices == method.choices and again.sizes() == {"N": 2, "D": 2, "C": 2, "F": 0}
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert torch.equal(again.branches(QUERY)["adapted"], method.branches(QUERY)["adapted"])


@pytest.mark.parametrize("kind", KINDS)
def test_classes_that_the_cache_does_not_know(kind: type[TipAdapter]) -> None:
    """Trained on a, b, c; asked about c, x, a."""
    method = filled(kind, images=[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], labels=[0, 1, 2], texts=torch.eye(2, 3))
    known = match_classes("abc", "cxa")
    asked = kind(method.settings, make_task(torch.eye(2, 3), logit_scale=10.0))
    asked.load_state_dict(method.state_dict())
    asked.known = known
    votes = method.branches(QUERY)["adapted"] - method.branches(QUERY)["zero_shot"]
    found = asked.branches(QUERY)
    added = found["adapted"] - found["zero_shot"]
    assert added[0, 1] == 0 and asked.num_known == 2
    torch.testing.assert_close(added[0, [0, 2]], votes[0, [2, 0]])
    again = kind.from_folder(asked.task, asked.state_dict(), asked.kept_choices())
    assert torch.equal(again.branches(QUERY)["adapted"], found["adapted"])


def test_a_choice_is_made_among_known_classes() -> None:
    """The search spreads the values, the branches the votes: both must say the same."""
    method = filled(images=[[0.0, 1.0], [1.0, 0.0], [0.6, 0.8]], labels=[0, 1, 2], texts=torch.eye(2, 3))
    method.known = match_classes("abc", "bxa")
    features = {"clip": torch.randn(30, 2, generator=torch.Generator().manual_seed(3))}
    images = Images(method, features, torch.arange(30) % 3)
    method.settings = TipAdapterSettings(rule="first_best", scale_alpha=90.0, steps_alpha=6, steps_beta=3)
    tuning = method.choose(images)
    branches, labels = images()
    assert tuning is not None
    assert 100 * float((branches["adapted"].argmax(dim=1) == labels).double().mean()) == pytest.approx(tuning.accuracy)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("keys", "values", "message"),
    [
        ((4, 2), (5, 2), r"values has shape \(5, 2\); \(N, C\) = \(4, 2\) is wanted"),
        ((4, 3), (4, 2), r"keys has shape \(4, 3\); \(N, D\) = \(4, 2\) is wanted"),
        ((4, 2), (4, 3), "the model has 3 rows for 2 classes"),
        ((4,), (4, 2), "size mismatch for keys"),
        ((4, 2), None, 'Missing key.*"values"'),
    ],
)
def test_tensors_that_do_not_fit_are_refused(kind: type[TipAdapter], keys: Any, values: Any, message: str) -> None:
    tensors = {name: torch.zeros(shape) for name, shape in (("keys", keys), ("values", values)) if shape}
    with pytest.raises(ValueError, match=message) as caught:
        kind.from_folder(make_task(AXES), tensors, {"beta": 1.0, "alpha": 1.0, "known": None})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"beta": 1.0}, 'choice "alpha" is missing'),
        ({"beta": 1.0, "alpha": 1.0, "gamma": 1.0}, "TipAdapter has no choice 'gamma'"),
        ({"beta": "1", "alpha": 1.0}, "setting beta takes a value of type float, got '1'"),
    ],
)
def test_choices_that_do_not_fit_are_refused(choices: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        TipAdapter.from_folder(make_task(AXES), filled().state_dict(), {**choices, "known": None})
    assert str(caught.value) == message
