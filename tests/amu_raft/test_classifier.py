import contextlib
import copy
import json
import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import experiments.runs.fitting
from amu_raft.classifier import FewShotClassifier
from amu_raft.model.model_info import INFO_FILE

QUICK = {"OPTIM.MAX_EPOCH": 5, "OPTIM.WARMUP_EPOCH": 0, "TRAIN.VIEWS": 1, "DATALOADER.TRAIN_X.BATCH_SIZE": 4}
NAMES = ("zero", "one", "six")  # of digits that the tiny CLIP tells apart after an epoch or two


def pictures(per_class: int = 5, names: tuple[str, ...] = NAMES) -> tuple[Any, Any]:
    """Handwritten digits (N, 32, 32, 3) and their names, one class after the other in turn."""
    digits = load_digits()
    numbers = {"zero": 0, "one": 1, "six": 6}
    places = [np.flatnonzero(digits.target == numbers[name])[turn] for turn in range(per_class) for name in names]
    grey = np.kron(digits.images[places] * 15.9, np.ones((1, 4, 4))).astype(np.uint8)
    return np.stack([grey] * 3, axis=-1), np.array([*names] * per_class)


def quick(method: str = "amu", **parameters: Any) -> FewShotClassifier:
    return FewShotClassifier(method, **{"random_state": 0, "settings": QUICK, "device": "cpu", **parameters})


@pytest.fixture(scope="module")
def fitted() -> FewShotClassifier:
    return quick().fit(*pictures())


def zero_shot(**parameters: Any) -> FewShotClassifier:
    """What is asked of labels, names and files does not depend on the method, and nothing is trained here."""
    return quick("zeroshot", settings=None, **parameters)


@pytest.mark.parametrize("method", ["amu", "raft", "zeroshot"])
def test_fit_predict_save_load(method: str, fitted: FewShotClassifier, tmp_path: Path) -> None:
    images, labels = pictures()
    classifier = {"amu": fitted, "raft": quick("raft"), "zeroshot": zero_shot()}[method]
    if method != "amu":
        assert classifier.fit(images, labels) is classifier
    assert classifier.classes_.tolist() == ["one", "six", "zero"]
    assert classifier.score(images, labels) >= (0.9 if method != "zeroshot" else 0.6)
    probabilities, logits = classifier.predict_proba(images), classifier.decision_function(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (classifier.classes_[logits.argmax(axis=1)] == classifier.predict(images)).all()
    assert probabilities.shape == logits.shape == (15, 3)
    classifier.save(tmp_path / "new" / "model")
    loaded = FewShotClassifier.load(tmp_path / "new" / "model", device="cpu")
    assert loaded.method == method and loaded.classes_.tolist() == classifier.classes_.tolist()
    np.testing.assert_array_equal(loaded.predict_proba(images), probabilities)


def test_paths_pillow_images_and_arrays_are_the_same_pictures(fitted: FewShotClassifier, tmp_path: Path) -> None:
    images, labels = pictures()
    paths = [tmp_path / f"{number:02d}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    expected = fitted.predict_proba(images)
    for given in (paths, [str(path) for path in paths], [Image.fromarray(image) for image in images], list(images)):
        np.testing.assert_array_equal(fitted.predict_proba(given), expected)
    names = np.array([str(path) for path in paths])  # as folds of a cross-validation are given
    np.testing.assert_array_equal(quick().fit(names, labels).predict_proba(names), expected)
    assert fitted.predict([np.full((50, 60), 128, np.uint8)]).shape == (1,)
    assert fitted.predict([]).shape == (0,)


def test_a_picture_may_be_given_twice(tmp_path: Path) -> None:
    images, labels = pictures(2)
    paths = []
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    classifier = quick(validation_fraction=0).fit(paths + paths, [*labels, *labels])
    assert classifier.model_.info.about["data"]["images"] == 12


def test_parameters_are_only_stored() -> None:
    classifier = quick("raft", classnames={"zero": "a nought"})
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params() and is_classifier(copied)
    assert copied.set_params(method="amu", random_state=3).random_state == 3
    assert FewShotClassifier("no such method").method == "no such method"


def test_cross_validation_and_pipeline() -> None:
    images, labels = pictures(4)
    steps = make_pipeline(FunctionTransformer(lambda arrays: [*arrays[..., ::-1]]), quick())
    scores = cross_val_score(steps, images, labels, cv=2, error_score="raise")
    assert scores.shape == (2,) and scores.min() > 0.8


def test_two_classes_have_one_decision() -> None:
    images, labels = pictures(3, ("zero", "one"))
    classifier = zero_shot().fit(images, labels)
    decisions = classifier.decision_function(images)
    assert decisions.shape == (6,) and len(set(decisions > 0)) == 2
    assert ((decisions > 0) == (classifier.predict(images) == classifier.classes_[1])).all()


def test_score_is_a_share_and_may_be_weighted(fitted: FewShotClassifier) -> None:
    images, labels = pictures()
    wrong = np.where(np.arange(15) < 3, "two", labels)
    right = fitted.predict(images) == wrong
    assert fitted.score(images, wrong) == pytest.approx(right.mean()) and right.sum() <= 12
    assert fitted.score(images, wrong, sample_weight=right) == 1
    for given, message in ((labels[:3], "15 images but 3 labels"), ([], "15 images but 0 labels")):
        with pytest.raises(ValueError, match=message):
            fitted.score(images, given)
    with pytest.raises(ValueError, match="no images were given"):
        fitted.score([], [])


def test_random_state_decides_and_the_process_is_left_as_it_was(
    fitted: FewShotClassifier, capfd: pytest.CaptureFixture[str]
) -> None:
    images, labels = pictures()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    before = random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state(), torch.get_num_threads()
    again = quick().fit(images, labels)
    assert capfd.readouterr() == ("", "")
    after = random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state(), torch.get_num_threads()
    assert (
        before[0] == after[0] and before[1] == after[1] and torch.equal(before[2], after[2]) and before[3] == after[3]
    )
    np.testing.assert_array_equal(again.predict_proba(images), fitted.predict_proba(images))
    other = quick(random_state=np.random.RandomState(7)).fit(images, labels)
    assert np.abs(other.predict_proba(images) - fitted.predict_proba(images)).max() > 0


def test_fit_says_what_it_does_if_asked(capfd: pytest.CaptureFixture[str]) -> None:
    zero_shot(verbose=True).fit(*pictures(2))
    assert "accuracy" in capfd.readouterr().out


@pytest.mark.parametrize(
    "labels",
    [[10, 2, 33], [1.5, -2.0, 3.0], [True, False], [None, 2, ("a", 1)], [("a", 1), ("b", 2)], [1, "1", 2**70]],
    ids=["whole", "fractions", "truths", "mixed", "tuples", "alike"],
)
def test_labels_of_any_kind(labels: list[Any], tmp_path: Path) -> None:
    images, names = pictures(3)
    chosen = [index for index, name in enumerate(names) if NAMES.index(name) < len(labels)]
    given = [labels[NAMES.index(names[index])] for index in chosen]
    classifier = zero_shot(classnames=dict(zip(labels, NAMES, strict=False))).fit(images[chosen], given)
    found = classifier.predict(images[chosen]).tolist()
    assert {(type(label), label) for label in found} <= {(type(label), label) for label in labels}
    assert classifier.score(images[chosen], given) == np.mean([a == b for a, b in zip(found, given, strict=True)])
    assert classifier.score(images[chosen], given) >= 0.6  # in another order of the classes it would be 0.4 at most
    if any(isinstance(label, tuple) for label in labels):
        with pytest.raises(ValueError, match=r"label .* cannot be saved; texts and numbers can"):
            classifier.save(tmp_path)
        assert not list(tmp_path.iterdir())
    else:
        classifier.save(tmp_path)
        loaded = FewShotClassifier.load(tmp_path).classes_
        assert loaded.dtype == classifier.classes_.dtype and (loaded == classifier.classes_).all()


def test_names_and_templates_reach_the_sentences() -> None:
    images, labels = pictures(2)
    names = {"zero": 'a "zero",  odd # sign'}
    info = zero_shot(classnames=names, templates=["see {}.", "a {}."]).fit(images, labels)
    assert info.model_.info.prompts[2] == ['see a "zero", odd # sign.', 'a a "zero", odd # sign.']
    assert info.model_.info.prompts[0] == ["see one.", "a one."]


def test_without_held_out_images_nothing_is_calibrated_or_measured() -> None:
    info = zero_shot(validation_fraction=0.2).fit(*pictures(4)).model_.info
    assert info.temperature == 1 and info.about["data"]["held_out"] == 0 and "metrics" not in info.about
    info = zero_shot(validation_fraction=0.25).fit(*pictures(4)).model_.info
    assert info.about["data"]["held_out"] == 3 and info.about["metrics"]["total"] == 3
    assert info.about["metrics"]["split"] == "val"


def test_copies(fitted: FewShotClassifier) -> None:
    images, _ = pictures(1)
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.predict(images), fitted.predict(images))


def test_the_folder_of_a_run(finished: Any, image_root: Path) -> None:
    classifier = FewShotClassifier.load(finished("RAFT").folder)
    paths = sorted(image_root.rglob("*.png"))
    assert classifier.method == "raft" and len(classifier.predict(paths)) == 30
    assert set(classifier.predict(paths)) <= {"bear", "red fox", "red_fox", "sea lion"}


def test_not_fitted(tmp_path: Path) -> None:
    for use in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(quick(), use)(pictures(1)[0])
    with pytest.raises(NotFittedError):
        quick().save(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "magic"}, "unknown method 'magic'; accepted are amu, raft, zeroshot"),
        ({"method": ["amu"]}, "unknown method ['amu']"),
        ({"validation_fraction": 1}, "validation_fraction must be from 0 to below 1, got 1"),
        ({"validation_fraction": "0.2"}, "validation_fraction must be from 0 to below 1, got '0.2'"),
        ({"templates": "a {}."}, "templates must be a list of sentences"),
        ({"classnames": {"pink": "x"}}, "classnames has 'pink', which is no label"),
        ({"classnames": {"zero": " "}}, "label 'zero' has no name"),
        ({"random_state": -1}, "random_state must be from 0 to below 2**32, got -1"),
        ({"device": "abacus"}, "abacus cannot be used here"),
        ({"backbone": "no-such-clip"}, "no-such-clip"),
        ({"random_state": 2**32}, "random_state must be from 0 to below 2**32, got 4294967296"),
        ({"settings": {"OPTIM.MAX_EPOHC": 1}}, "the nearest known key is 'OPTIM.MAX_EPOCH'"),
        ({"settings": {"DATASET.SUBSAMPLE_CLASSES": "base"}}, "settings cannot have DATASET.SUBSAMPLE_CLASSES"),
        ({"settings": {"OUTPUT_DIR": "mine"}}, "settings cannot have OUTPUT_DIR, which fit decides by itself"),
        ({"settings": {"TEST.FINAL_MODEL": "best_test"}}, "fit has no test images; accepted are last_step, best_val"),
    ],
)
def test_parameters_that_cannot_be(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        quick().set_params(**parameters).fit(*pictures(1))


def test_labels_that_cannot_be() -> None:
    images, labels = pictures(1)
    for wrong, error, message in (
        (labels[:2], ValueError, "3 images but 2 labels"),
        (["zero"] * 3, ValueError, "all labels are 'zero'; two classes or more"),
        ("rgb", TypeError, "labels must be a list"),
        ([["a"], ["b"], ["c"]], TypeError, "a list has no hash"),
        (np.zeros((3, 1)), ValueError, "one dimension"),
        ([1.0, 2.0, float("nan")], ValueError, "not a finite number"),
    ):
        with pytest.raises(error, match=message):
            quick().fit(images, wrong)
    with pytest.raises(ValueError, match="no images were given"):
        quick().fit([], [])


def test_pictures_that_cannot_be_read_are_named(fitted: FewShotClassifier, tmp_path: Path) -> None:
    images, labels = pictures(1)
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    for place in (0, 2):  # the first is read before the training, others in it
        given = [*images[:place], broken, *images[place + 1 :]]
        with pytest.raises(OSError, match=r"broken\.png"):
            quick().fit(given, labels)
    with pytest.raises(OSError, match=r"broken\.png"):
        fitted.predict([broken])
    with pytest.raises(ValueError, match="image 1: 1 x 9000000 pixels are too narrow"):
        fitted.predict([images[0], Image.new("1", (1, 9_000_000))])
    with pytest.raises(FileNotFoundError, match=r"absent\.png"):
        quick().fit([tmp_path / "absent.png", *images[1:]], labels)


def test_scores_that_are_no_numbers_end_the_call(fitted: FewShotClassifier) -> None:
    damaged = copy.deepcopy(fitted)
    damaged.model_.model.head.text_columns.fill_(float("nan"))
    with pytest.raises(ArithmeticError, match="the model's scores of image 0 are no finite numbers"):
        damaged.predict(pictures(1)[0])


def test_a_run_that_leaves_no_model_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments.runs.fitting, "_train", lambda *_: None)
    with pytest.raises(RuntimeError, match="trainer AMU has left no model"):
        quick().fit(*pictures(1))


def test_a_failed_fit_keeps_the_earlier_model(fitted: FewShotClassifier, tmp_path: Path) -> None:
    classifier = copy.deepcopy(fitted)
    with contextlib.suppress(ValueError):
        classifier.fit(pictures(1)[0], ["one"] * 3)
    classifier.save(tmp_path)
    content = json.loads((tmp_path / INFO_FILE).read_text())
    assert [entry["key"] for entry in content["classes"]] == ["one", "six", "zero"]
