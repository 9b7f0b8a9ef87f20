from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from amu_raft.methods.known_classes import match_classes
from amu_raft.methods.linear_probe import (
    PIXEL_GRID,
    GreyPixels,
    LinearProbe,
    LinearProbeSettings,
    PixelProbe,
    fit_probe,
)
from amu_raft.methods.settings import KEPT, SettingError
from tests.few_shot import Images, Shots, make_task

TEXTS = torch.eye(3)  # (D, C) = (3, 3)


def rows_of(labels: Tensor, width: int = 3, seed: int = 1) -> Tensor:
    """Return rows that scatter around a direction of their class."""
    noise = torch.randn(len(labels), width, generator=torch.Generator().manual_seed(seed))
    return torch.eye(width)[labels] + 0.3 * noise


def fitted(
    labels: Tensor, kind: type[LinearProbe] = LinearProbe, texts: Tensor = TEXTS, **settings: Any
) -> LinearProbe:
    method = kind(LinearProbeSettings(**settings), make_task(texts, logit_scale=10.0))
    rows = rows_of(labels)
    method.start(Shots(labels, {}, {"clip": rows, "pixels": rows}))
    return method


# ---------------------------------------------------------------------------------------------------------------- fit


def test_two_points_by_hand() -> None:
    """Rows 1 and -1: the minimum of w^2 / 2 + 2 log(1 + exp(-w)) is at w = 2 / (1 + exp(w)), 0.6748."""
    weight, bias = fit_probe(torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0]), 2, 1.0)
    torch.testing.assert_close(weight, torch.tensor([[-0.6748, 0.6748]]) / 2, rtol=0, atol=1e-3)
    torch.testing.assert_close(bias, torch.zeros(2), rtol=0, atol=1e-3)


@pytest.mark.parametrize("labels", [[0, 1, 0, 1, 1], [0, 1, 2, 0, 1, 2, 2], [2, 0, 2, 0], [1, 2, 2, 2, 2, 2]])
def test_probabilities_are_those_of_the_regression(labels: list[int]) -> None:
    """Two classes or three, balanced or not."""
    of_images, queries = torch.tensor(labels), rows_of(torch.tensor([0, 1, 2]), seed=2)
    rows = rows_of(of_images)
    found = LogisticRegression(C=2.0, max_iter=5000).fit(rows.numpy(), labels)
    weight, bias = fit_probe(rows, of_images, 3, 2.0)
    log_shares = (queries @ weight + bias).log_softmax(dim=1)[:, found.classes_]
    wanted = torch.from_numpy(found.predict_log_proba(queries.numpy())).float()
    torch.testing.assert_close(log_shares, wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(rows, rows_of(of_images))


def test_a_class_without_images_is_never_chosen() -> None:
    method = fitted(torch.tensor([0, 2, 0, 2]))
    probe = method.branches({"clip": torch.tensor([[0.0, 9.0, 0.0]])})["probe"]
    assert probe.argmax(dim=1).item() != 1 and probe[0, 1] < -80
    torch.testing.assert_close(probe.exp().sum(dim=1), torch.ones(1))


def test_it_is_fitted_to_images_without_augmentation_whatever_their_length() -> None:
    labels = torch.tensor([0, 1, 2])
    method = LinearProbe(LinearProbeSettings(), make_task(TEXTS))
    method.start(Shots(labels, {"clip": torch.randn(2, 3, 3)}, {"clip": 7 * torch.eye(3)}))
    weight, bias = fit_probe(torch.eye(3), labels, 3, 1.0)
    torch.testing.assert_close(method.weight, weight)
    torch.testing.assert_close(method.bias, bias)
    one, other = (method.branches({"clip": scale * torch.ones(1, 3)})["probe"] for scale in (1, 5))
    torch.testing.assert_close(one, other)


def test_branches_leave_features_as_they_are() -> None:
    method, features = fitted(torch.tensor([0, 1, 2])), {"clip": torch.tensor([[3.0, 0.0, 4.0]])}
    found = method.branches(features)
    assert features["clip"].tolist() == [[3.0, 0.0, 4.0]]
    torch.testing.assert_close(found["zero_shot"], torch.tensor([[6.0, 0.0, 8.0]]))
    assert method.decide(found) is found["probe"]


# ------------------------------------------------------------------------------------------------------------- choice


def test_the_first_of_the_best_is_taken_and_fitted() -> None:
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    method = fitted(labels, tune_values="0.01, 1, 100")
    tuning = method.choose(Images(method, {"clip": torch.eye(3)}, torch.tensor([0, 1, 2])))
    assert tuning is not None and tuning.axes == {"inverse_regularization": [0.01, 1.0, 100.0]}
    assert tuning.accuracies.tolist() == [100.0, 100.0, 100.0] and tuning.num_images == 3
    assert method.choices == {"inverse_regularization": 0.01}
    weight, _ = fit_probe(method.rows({"clip": rows_of(labels)}), labels, 3, 0.01)
    assert torch.equal(method.weight, weight)


def test_a_better_one_is_taken() -> None:
    """Few images of class 1 lie within many of class 0: strong regularisation never says class 1."""
    labels = torch.tensor([0] * 9 + [1])
    method = LinearProbe(LinearProbeSettings(tune_values="0.01, 1000"), make_task(torch.eye(2)))
    rows = torch.tensor([[1.0, 0.0]] * 9 + [[0.6, 0.8]])
    method.start(Shots(labels, {}, {"clip": rows}))
    tuning = method.choose(Images(method, {"clip": rows}, labels))
    assert tuning is not None and tuning.accuracies.tolist() == [90.0, 100.0]
    assert method.choices == {"inverse_regularization": 1000.0}
    assert (method.branches({"clip": rows})["probe"].argmax(dim=1) == labels).all()


def test_an_evaluation_keeps_the_model_s_own_value() -> None:
    found = {"tuning": {"chosen": {"inverse_regularization": 10.0}}}
    for same_data in (True, False):
        kept = LinearProbe.settings_for_evaluation({"tune": "post_hoc"}, found, same_data=same_data)
        assert kept == {"inverse_regularization": 10.0, "tune": KEPT}
        assert LinearProbe.settings_for_evaluation({"tune": "post_hoc"}, {}, same_data=same_data) == {"tune": "off"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tune", "maybe", "is 'maybe'; choose from off, post_hoc, kept"),
        ("tune_values", "0, 1", "has 0.0; numbers from 1e-12 to inf are accepted"),
        ("tune_values", "", "is a list of numbers such as \"0.5, 1, 2\", got ''"),
    ],
)
def test_settings_that_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        LinearProbeSettings(**{name: value})
    assert str(caught.value) == f"setting {name} {message}"


# ------------------------------------------------------------------------------------------------------ other classes


def asked_about(method: LinearProbe, present: str) -> LinearProbe:
    """Return a method that was trained on the classes a, b, c, asked about others."""
    asked = type(method)(method.settings, make_task(torch.eye(3, len(present)), logit_scale=10.0))
    asked.load_state_dict(method.state_dict())
    asked.known = match_classes("abc", present)
    return asked


def test_unknown_classes_are_never_chosen() -> None:
    method = fitted(torch.tensor([0, 1, 2]))
    features = {"clip": rows_of(torch.tensor([0, 1, 2, 1]), seed=3)}
    found = asked_about(method, "cxa").branches(features)["probe"]
    own = method.branches(features)["probe"][:, [2, 0]]
    torch.testing.assert_close(found[:, [0, 2]], own.log_softmax(dim=1))
    assert (found[:, 1] < -80).all()


def test_clip_decides_where_no_class_is_known() -> None:
    asked = asked_about(fitted(torch.tensor([0, 1, 2])), "xy")
    found = asked.branches({"clip": torch.tensor([[3.0, 4.0, 0.0]])})
    assert torch.equal(found["probe"], found["zero_shot"])


@pytest.mark.parametrize("kind", [LinearProbe, PixelProbe])
@pytest.mark.parametrize("present", ["abc", "cxa", "b"])
def test_a_folder_gives_the_same_method(kind: type[LinearProbe], present: str) -> None:
    asked = asked_about(fitted(torch.tensor([0, 1, 2, 2]), kind), present)
    again = kind.from_folder(asked.task, asked.state_dict(), asked.kept_choices())
    features = {"clip": rows_of(torch.tensor([0, 1]), seed=4), "pixels": rows_of(torch.tensor([1, 2]), seed=5)}
    assert torch.equal(again.branches(features)["probe"], asked.branches(features)["probe"])
    assert again.choices == {"inverse_regularization": 1.0}


@pytest.mark.parametrize(
    ("kind", "name", "shape", "message"),
    [
        (LinearProbe, "weight", (4, 3), r"weight has shape \(4, 3\); \(D, C\) = \(3, 3\) is wanted"),
        (LinearProbe, "bias", (2,), r"bias has shape \(2,\); \(C\) = \(3,\) is wanted"),
        (PixelProbe, "bias", (2,), r"bias has shape \(2,\); \(C\) = \(3,\) is wanted"),
        (PixelProbe, "weight", (3,), "size mismatch for weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(kind: type[LinearProbe], name: str, shape: Any, message: str) -> None:
    tensors = {**fitted(torch.tensor([0, 1, 2]), kind).state_dict(), name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=message) as caught:
        kind.from_folder(make_task(TEXTS), tensors, {"inverse_regularization": 1.0, "known": None})
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------- pixels


def test_grey_pixels_by_hand() -> None:
    colour = torch.tensor([0.3, 0.6, 0.9])[None, :, None, None].expand(2, 3, 40, 24)
    torch.testing.assert_close(GreyPixels()(colour), torch.full((2, PIXEL_GRID**2), 0.6))
    fine = torch.zeros(1, 3, 2 * PIXEL_GRID, 2 * PIXEL_GRID)
    fine[0, :, 0, 1] = 1.0  # a quarter of the first cell
    fine[0, 0, 2, 0] = 1.0  # a third of a quarter of the first cell of the second row
    found = GreyPixels()(fine)
    assert found[0, 0] == 0.25 and found[0, PIXEL_GRID] == pytest.approx(1 / 12)
    assert float(found.sum()) == pytest.approx(1 / 3)


def test_grey_pixels_of_a_small_image_are_all_there() -> None:
    small = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(6))
    found = GreyPixels()(small).unflatten(1, (PIXEL_GRID, PIXEL_GRID))
    torch.testing.assert_close(found[:, ::2, ::2], small.mean(dim=1))
    assert GreyPixels().identity() == {"name": "grey pixels", "grid": PIXEL_GRID}


def test_a_pixel_probe_sees_pixels_alone() -> None:
    reader = PixelProbe.readers["pixels"]
    dark, light = torch.zeros(1, 3, 20, 20), torch.ones(1, 3, 20, 20)
    pixels = reader(torch.cat([dark, light]))
    method = PixelProbe(LinearProbeSettings(), make_task(torch.eye(2)))
    method.start(Shots(torch.tensor([0, 1]), {}, {"pixels": pixels}))
    clip = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = method.branches({"clip": clip, "pixels": pixels})
    assert found["probe"].argmax(dim=1).tolist() == [0, 1] and found["zero_shot"].argmax(dim=1).tolist() == [1, 0]
    assert method.sizes()["P"] == PIXEL_GRID**2 and PixelProbe.reads == ("clip", "pixels")
