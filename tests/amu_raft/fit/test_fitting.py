"""A fit from pictures to a model, mostly of a method that is told by hand."""

import json
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.features.views import derive_seed
from amu_raft.fit.fitting import Given, fit_model
from amu_raft.images.pixels import scaled
from amu_raft.methods import Branches, Features, Method, get_method
from amu_raft.methods.linear_probe import PIXEL_GRID
from amu_raft.methods.selection import Tuning
from tests.amu_raft.fit.counting import COLOURS, NAMES, Counting, CountingSettings, fitting, given, squares


def steps(model: Any) -> float:
    return float(model.model.method.steps)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures CLIP encodes, call by call."""
    seen: list[int] = []
    encode_image = CLIPBackbone.encode_image

    def counting(self: CLIPBackbone, images: Tensor) -> Tensor:
        seen.append(len(images))
        return encode_image(self, images)

    monkeypatch.setattr(CLIPBackbone, "encode_image", counting)
    return seen


# -------------------------------------------------------------------------------------------------- learns, and is kept


def test_the_last_step_is_kept_or_the_best_on_validation_pictures() -> None:
    """After epoch e the method says class e; of the validation pictures class 1 has two and class 2 has one."""
    held = given(0, 1, 1, 2)
    lines: list[str] = []
    last = fit_model(fitting(validation=held, say=lines.append))
    assert steps(last) == 2 and last.info.about["metrics"]["accuracy"] == 25
    assert lines[:2] == ["epoch 1/2: loss 0.0000", "epoch 2/2: loss -1.0000"] and lines[2].startswith("temperature")
    assert last.info.about["protocol"]["final_model"] == "last_step"
    best = fit_model(fitting(validation=held, settings={"final_model": "best_val", "epochs": 5}))
    assert steps(best) == 1 and best.info.about["metrics"]["accuracy"] == 50  # as after epoch 4, which is later
    assert best.info.about["protocol"] == {
        "final_model": "best_val", "selected_on": "validation", "views": "1", "oracle": False
    }  # fmt: skip


def test_the_best_on_validation_pictures_needs_some_and_says_so_at_once(encoded: list[int]) -> None:
    with pytest.raises(ValueError, match="best_val needs validation pictures; give some, or take last_step"):
        fit_model(fitting(settings={"final_model": "best_val"}))
    with pytest.raises(ValueError, match="validation pictures are given, but there are none; leave them out"):
        fit_model(fitting(validation=Given([], [])))
    assert not encoded


def test_what_is_kept_of_a_fit() -> None:
    held = given(0, 0, 2)
    found = fit_model(fitting(validation=held, settings={"epochs": 3, "power": 7}))
    info, method = found.info, found.model.method
    assert (info.method, info.classnames, info.class_keys) == ("Counting", NAMES, ["a", "b", "c"])
    assert info.prompts == [[f"a photo of a {name}."] for name in NAMES]
    assert info.choices == {"settings": {"power": 7.0}}
    assert (info.backbone.name, info.aux_encoder, info.precision, info.layers) == ("tiny", None, "fp32", "folded")
    assert info.recipe.size == found.model.encoders.backbone.input_resolution
    metrics = info.about["metrics"]  # it says class 3 mod 3
    assert (metrics["split"], metrics["total"], metrics["correct"]) == ("val", 3, 2)
    assert metrics["accuracy"] == metrics["branches"]["adapted"] == pytest.approx(200 / 3)
    assert metrics["zero_shot_accuracy"] == metrics["branches"]["zero_shot"]
    assert info.about["data"] == {"dataset_name": "by hand", "seed": 3}
    assert info.about["protocol"]["selected_on"] == "none"
    assert info.temperature == found.model.temperature and method.settings == CountingSettings(power=7.0)
    assert not method.training and not found.model.training
    assert all(not parameter.requires_grad and parameter.grad is None for parameter in method.parameters())
    assert method.task.text_rows is None
    assert not list(found.model.encoders.backbone.model.transformer.parameters())  # sentences are no longer encoded


def test_without_validation_pictures_nothing_is_measured_or_calibrated() -> None:
    lines: list[str] = []
    found = fit_model(fitting(say=lines.append))
    assert "metrics" not in found.info.about and found.model.temperature == found.info.temperature == 1
    assert lines[-1].startswith("not calibrated: ")


def test_the_seed_decides() -> None:
    def weights(**parts: Any) -> Tensor:
        method = fit_model(fitting(get_method("AMU"), settings={"epochs": 1, "batch_size": 2}, **parts)).model.method
        return torch.cat([value.flatten() for value in method.state_dict().values()])

    first = weights()
    assert torch.equal(first, weights()) and not torch.equal(first, weights(seed=4))


# ------------------------------------------------------------------------------------------------------- is chosen


@dataclass(frozen=True)
class ChoosingSettings(CountingSettings):
    shift: int = 0
    tune: str = "post_hoc"


class Choosing(Counting):
    """The class that it says is a choice."""

    Settings = ChoosingSettings
    chosen = ("shift",)
    seen: ClassVar[list[Any]] = []

    def branches(self, features: Features) -> Branches:
        zero_shot = self.zero_shot(features)
        said = torch.zeros_like(zero_shot)
        said[:, self.choices["shift"]] = 1.0
        return {"zero_shot": zero_shot, "adapted": said}

    def choose(self, validation: Any) -> Tuning | None:
        branches, labels = validation()
        features, again = validation.features()
        assert not self.training and torch.equal(labels, again)
        self.seen.append((labels.tolist(), {name: len(rows) for name, rows in features.items()}))
        torch.testing.assert_close(self.branches(features)["zero_shot"], branches["zero_shot"])
        shares = torch.bincount(labels, minlength=3) / len(labels) * 100
        place = int(shares.argmax())
        return self.settle(Tuning({"shift": [0, 1, 2]}, shares.double(), (place,), len(labels), "the largest"))


@pytest.fixture
def seen() -> Iterator[list[Any]]:
    Choosing.seen.clear()
    yield Choosing.seen
    Choosing.seen.clear()


def test_choices_are_made_on_validation_pictures_and_kept(seen: list[Any]) -> None:
    found = fit_model(fitting(Choosing, validation=given(0, 2, 2), settings={"epochs": 1}))
    assert seen == [([0, 2, 2], {"clip": 3})]
    assert found.info.choices == {"shift": 2} and found.info.about["protocol"]["selected_on"] == "validation"
    assert found.info.about["metrics"]["correct"] == 2


def test_nothing_is_chosen_without_validation_pictures_or_where_it_is_not_wanted(seen: list[Any]) -> None:
    found = fit_model(fitting(Choosing, settings={"epochs": 1, "shift": 1}))
    assert found.info.choices == {"shift": 1}
    found = fit_model(fitting(Choosing, validation=given(0, 2, 2), settings={"epochs": 1, "shift": 1, "tune": "off"}))
    assert found.info.choices == {"shift": 1} and found.info.about["protocol"]["selected_on"] == "none"
    assert not seen


def test_a_method_may_train_to_choose_and_starts_again_from_its_start() -> None:
    notes: list[Any] = []

    class Trying(Counting):
        def choose_by_training(self, trials: Any, validation: Any) -> str:
            for _ in range(2):
                trials.train()
                notes.append((self.steps.item(), validation()[0]["adapted"].argmax(dim=1).tolist()))
                trials.reset()
                notes.append(self.steps.item())
            return "tried twice"

    lines: list[str] = []
    found = fit_model(fitting(Trying, validation=given(0, 1), say=lines.append))
    assert notes == [(2.0, [2, 2]), 0.0] * 2 and steps(found) == 2
    assert lines[0] == "tried twice" and lines[1].startswith("epoch 1/2")
    notes.clear()
    fit_model(fitting(Trying))
    assert not notes


# ------------------------------------------------------------------------------------------------- pictures and store


def test_features_of_files_are_stored_and_used_again(tmp_path: Path, encoded: list[int]) -> None:
    paths = [tmp_path / f"{place}.png" for place in range(4)]
    for path, picture in zip(paths, squares([0, 1, 2, 0]), strict=True):
        Image.fromarray(picture).save(path)
    files: dict[str, Any] = {"training": Given(paths[:3], [0, 1, 2]), "validation": Given(paths[3:], [0])}
    store = {"store": str(tmp_path / "store"), "views": 2}
    first = fit_model(fitting(settings=store, **files))
    assert encoded == [6, 1] and list((tmp_path / "store").iterdir())
    second = fit_model(fitting(settings=store, **files))
    assert encoded == [6, 1] and steps(first) == steps(second) == 2
    fit_model(fitting(settings={**store, "store": "off"}, **files))
    assert encoded == [6, 1, 6, 1]


def test_methods_share_the_features_that_both_read(tmp_path: Path, encoded: list[int]) -> None:
    paths = [tmp_path / f"{place}.png" for place in range(6)]
    for path, picture in zip(paths, squares([0, 1, 2, 0, 1, 2]), strict=True):
        Image.fromarray(picture).save(path)
    files: dict[str, Any] = {"training": Given(paths[:3], [0, 1, 2]), "validation": Given(paths[3:], [0, 1, 2])}
    settings = {"store": str(tmp_path / "store")}
    probe = fit_model(fitting(get_method("LinearProbe"), settings=settings, **files))
    assert encoded == [3, 3]
    zero_shot = fit_model(fitting(get_method("ZeroshotCLIP"), settings=settings, **files))
    grey = fit_model(fitting(get_method("PixelProbe"), settings=settings, **files))
    assert encoded == [3, 3]
    found = [fit.info.about["metrics"]["zero_shot_accuracy"] for fit in (probe, zero_shot, grey)]
    assert found[0] == found[1] == found[2] == zero_shot.info.about["metrics"]["accuracy"]
    shapes = sorted(
        (content["description"]["feature"], content["shape"])
        for content in (json.loads(path.read_text()) for path in (tmp_path / "store").rglob("manifest.json"))
        if not content["description"]["feature"].startswith("text")
    )
    width = probe.model.encoders.backbone.feature_dim
    assert shapes == [("clip", [3, width])] * 2 + [("pixels", [3, PIXEL_GRID**2])] * 2


@pytest.mark.parametrize("store", ["", "off", "given"])
def test_features_of_pictures_without_a_place_go_with_the_fit(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    chosen = str(tmp_path / "store") if store == "given" else store
    fit_model(fitting(settings={"store": chosen}))
    assert encoded == [6]
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"temporary", "cache"} and not list((tmp_path / "temporary").iterdir())
    assert not list((tmp_path / "cache").rglob("manifest.json"))


@pytest.mark.parametrize("views", ["1", "online"])
def test_pictures_that_cannot_be_taken_are_named_by_the_callers_number(views: str) -> None:
    pictures: list[Any] = squares([0, 1, 2])
    pictures[1] = np.zeros((4, 4), float)
    wrong = Given(pictures, [0, 1, 2], places=[4, 7, 9])
    with pytest.raises(ValueError, match=r"image 7 has values of type float64"):
        fit_model(fitting(training=wrong, settings={"views": views, "epochs": 1}))
    with pytest.raises(ValueError, match=r"image 7 has values of type float64"):
        fit_model(fitting(validation=wrong, settings={"epochs": 1}))


class Noting(Counting):
    """It notes the batches of its training."""

    batches: ClassVar[list[tuple[Tensor, list[int]]]] = []

    def loss(self, features: Features, labels: Tensor) -> Any:
        self.batches.append((features["clip"].clone(), labels.tolist()))
        return super().loss(features, labels)


def batches_of(**settings: Any) -> list[tuple[Tensor, list[int]]]:
    Noting.batches.clear()
    fit_model(fitting(Noting, settings={"batch_size": 4, "epochs": 3, **settings}))
    assert [len(labels) for _, labels in Noting.batches] == [4, 2] * settings.get("epochs", 3)
    return [*Noting.batches]


def test_fresh_views_come_in_the_order_of_cached_ones_and_differ_in_every_epoch() -> None:
    fresh, cached = batches_of(views="online"), batches_of(views=2)
    assert [labels for _, labels in fresh] == [labels for _, labels in cached]
    order = torch.randperm(6, generator=torch.Generator().manual_seed(derive_seed(3, 0))).tolist()
    assert fresh[0][1] + fresh[1][1] == [[0, 1, 2, 0, 1, 2][place] for place in order]
    for kind, again in ((fresh, batches_of(views="online")), (cached, batches_of(views=2))):
        assert all(torch.equal(one, other) for (one, _), (other, _) in zip(kind, again, strict=True))

    def epochs(batches: list[tuple[Tensor, list[int]]]) -> list[Tensor]:
        """The features of each epoch, sorted by their sum, whatever the order."""
        found = [torch.cat([batches[place][0], batches[place + 1][0]]) for place in range(0, len(batches), 2)]
        return [rows[rows.sum(dim=1).argsort()] for rows in found]

    one, two, three = epochs(cached)
    torch.testing.assert_close(one, three)
    assert not torch.allclose(one, two)
    one, two, three = epochs(fresh)
    assert not torch.allclose(one, two) and not torch.allclose(one, three) and not torch.allclose(two, three)
    torch.testing.assert_close(one, epochs(cached)[0], rtol=1e-4, atol=1e-5)  # view e is drawn as epoch e


def test_augmentation_without_normalisation_gives_the_same_features() -> None:
    plain = fit_model(fitting(settings={"augmentation": ["normalize"]}))
    bare = fit_model(fitting(settings={"augmentation": []}))
    assert bare.info.mean == (0.0, 0.0, 0.0) and bare.info.std == (1.0, 1.0, 1.0) and plain.info.mean != bare.info.mean
    pixels = scaled(torch.stack([torch.full((64, 64, 3), 40 * value, dtype=torch.uint8) for value in range(4)]))
    torch.testing.assert_close(bare.model(pixels).zero_shot, plain.model(pixels).zero_shot, rtol=1e-4, atol=1e-4)
    first = batches_of(augmentation=["normalize"], epochs=1)
    second = batches_of(augmentation=[], epochs=1)
    for (one, _), (other, _) in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


# ----------------------------------------------------------------------------------------------------------- failures


def test_logits_that_are_no_numbers_end_the_fit() -> None:
    class Broken(Counting):
        def branches(self, features: Features) -> Branches:
            zero_shot = self.zero_shot(features)
            return {"zero_shot": zero_shot, "adapted": zero_shot * float("nan")}

    with pytest.raises(FloatingPointError, match="adapted logits of the validation pictures are not finite"):
        fit_model(fitting(Broken, validation=given(0, 1)))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"settings": {"augmentation": ["turn"]}}, "Unknown transforms ['turn']; choose from "),
        ({"backbone": "RN51"}, "RN51"),
    ],
)
def test_what_cannot_be_fitted(parts: dict[str, Any], message: str, encoded: list[int]) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_model(fitting(**parts))
    assert not encoded


def test_classes_that_sentences_do_not_tell_apart_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"the texts of 'zero', 'six' are the same") as caught:
        fit_model(fitting(prompts=[["a zero"], ["a one"], ["a zero"]]))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_model(fitting())


def test_a_method_that_learns_nothing_sees_no_training_picture(encoded: list[int]) -> None:
    class Still(Method):
        learns = "nothing"
        decides = "zero_shot"

        def branches(self, features: Features) -> Branches:
            return {"zero_shot": self.zero_shot(features)}

    fit_model(fitting(Still))
    assert not encoded
    fit_model(fitting(Still, validation=given(*range(len(COLOURS)))))
    assert encoded == [3]
