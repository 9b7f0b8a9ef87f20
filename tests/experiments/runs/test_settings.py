"""What an evaluation takes over from the model's folder, and what tells two runs apart."""

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from yacs.config import CfgNode

from experiments.runs.settings import (
    check_finite,
    check_same,
    claim_folder,
    data_of_model,
    model_settings,
    read_settings,
    settings_of,
)

RAFT = {
    "TRAINER.NAME": "RAFT",
    "TRAINER.RAFT.ALPHA_RULE": "one_standard_error",
    "TRAINER.RAFT.FUSION_ALPHA": 1.0,
    "TRAINER.RAFT.TAU1": 2.0,
    "DATASET.NAME": "Pets",
    "DATASET.NUM_SHOTS": 4,
    "DATASET.SUBSAMPLE_CLASSES": "base",
    "MODEL.BACKBONE.NAME": "RN50",
    "MODEL.WEIGHTS": "/weights",
    "INPUT.SIZE": [64, 64],
    "OPTIM.LR": 0.1,
    "SEED": 3,
}


def data(name: str = "Pets", subsample: str = "base", root: str = "/data") -> CfgNode:
    return CfgNode({"NAME": name, "SUBSAMPLE_CLASSES": subsample, "ROOT": root})


def model(folder: Path, result: dict[str, Any] | None = None, **changes: Any) -> Path:
    settings = RAFT | {key.replace("__", "."): value for key, value in changes.items()}
    (folder / "settings.json").write_text(json.dumps(settings))
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def taken(folder: Path, evaluated: CfgNode) -> dict[str, Any]:
    return dict(model_settings(folder, "RAFT", evaluated))


# ------------------------------------------------------------------------------------------------------ taken over


def test_method_model_and_input_are_taken_over(tmp_path: Path) -> None:
    assert taken(model(tmp_path, {}), data()) == {
        "TRAINER.RAFT.ALPHA_RULE": "one_standard_error",
        "TRAINER.RAFT.FUSION_ALPHA": 1.0,
        "TRAINER.RAFT.TAU1": 2.0,
        "DATASET.NUM_SHOTS": 4,
        "MODEL.BACKBONE.NAME": "RN50",
        "INPUT.SIZE": [64, 64],
        "SEED": 3,
    }


def test_a_folder_without_settings_gives_none(tmp_path: Path) -> None:
    assert model_settings(tmp_path, "RAFT", data()) == []


def test_another_methods_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds a model of trainer RAFT, not of AMU"):
        model_settings(model(tmp_path), "AMU", data())


@pytest.mark.parametrize(
    ("evaluated", "rule"),
    [
        (data(), "one_standard_error"),
        (data(root="/moved"), "one_standard_error"),
        (data(subsample="new"), "fixed"),
        (data(subsample="all"), "fixed"),
        (data("Cars"), "fixed"),
    ],
)
def test_alpha_belongs_to_the_model(evaluated: CfgNode, rule: str, tmp_path: Path) -> None:
    found = taken(model(tmp_path, {"fusion_alpha": 0.34}), evaluated)
    assert (found["TRAINER.RAFT.FUSION_ALPHA"], found["TRAINER.RAFT.ALPHA_RULE"]) == (0.34, rule)


def test_folders_of_ones_own_are_told_apart_by_where_they_are(tmp_path: Path) -> None:
    result = {"fusion_alpha": 0.5, "cfg": {"DATASET": {"ROOT": "/photos"}}}
    folder = model(tmp_path, result, DATASET__NAME="ImageFolder")
    for root, rule in (("/photos/", "one_standard_error"), ("/others", "fixed")):
        assert taken(folder, data("ImageFolder", root=root))["TRAINER.RAFT.ALPHA_RULE"] == rule
    (folder / "result.json").unlink()
    assert taken(folder, data("ImageFolder"))["TRAINER.RAFT.ALPHA_RULE"] == "one_standard_error"


@pytest.mark.parametrize("result", [None, {}, {"fusion_alpha": None}])
def test_an_alpha_that_is_not_known_is_warned_about(result: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"no .*result\.json says which settings were chosen for the model"):
        found = taken(model(tmp_path, result), data("Cars"))
    assert (found["TRAINER.RAFT.FUSION_ALPHA"], found["TRAINER.RAFT.ALPHA_RULE"]) == (1.0, "fixed")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert taken(tmp_path, data())["TRAINER.RAFT.ALPHA_RULE"] == "one_standard_error"


@pytest.mark.parametrize(("content", "message"), [("[1]", "holds no result"), ("{", "no JSON can be read")])
def test_a_damaged_result(content: str, message: str, tmp_path: Path) -> None:
    (model(tmp_path) / "result.json").write_text(content)
    with pytest.raises(ValueError, match=f"result file .* is damaged.*{message}"):
        taken(tmp_path, data())


def test_how_a_model_was_chosen_belongs_to_it(tmp_path: Path) -> None:
    folder = model(tmp_path, {}, TEST__FINAL_MODEL="best_test", DATASET__VALIDATION="full", TEST__SPLIT="val")
    found = taken(folder, data())
    assert (found["TEST.FINAL_MODEL"], found["DATASET.VALIDATION"]) == ("best_test", "full")
    assert "TEST.SPLIT" not in found


CHOSEN = {"fusion_alpha": 3.0, "uncertainty": "none", "uncertainty_power": 0.8, "loss_lambda": 0.6}


def amu(folder: Path, tune: str, result: dict[str, Any] | None, evaluated: CfgNode) -> dict[str, Any]:
    settings = {"TRAINER.NAME": "AMU", "TRAINER.AMU.TUNE": tune, "TRAINER.AMU.FUSION_ALPHA": 0.5}
    settings |= {key: value for key, value in RAFT.items() if key.startswith("DATASET.")}
    (folder / "settings.json").write_text(json.dumps(settings))
    if result is not None:
        (folder / "result.json").write_text(json.dumps(result))
    found = dict(model_settings(folder, "AMU", evaluated))
    return {key.removeprefix("TRAINER.AMU."): value for key, value in found.items() if key.startswith("TRAINER.AMU.")}


def test_tuned_settings_belong_to_the_model(tmp_path: Path) -> None:
    result = {"tuning": {"chosen": CHOSEN}}
    kept = {"FUSION_ALPHA": 3.0, "UNCERTAINTY": "none", "UNCERTAINTY_POWER": 0.8, "LOSS_LAMBDA": 0.6, "TUNE": "kept"}
    for evaluated in (data(subsample="new"), data("Cars")):
        assert amu(tmp_path, "all", result, evaluated) == kept
    # On its own data they are chosen again, from the same configured ones.
    assert amu(tmp_path, "all", result, data()) == {"FUSION_ALPHA": 0.5, "LOSS_LAMBDA": 0.6, "TUNE": "all"}
    assert amu(tmp_path, "off", result, data("Cars")) == {"FUSION_ALPHA": 0.5, "TUNE": "off"}
    assert amu(tmp_path, "kept", result, data("Cars")) == {"FUSION_ALPHA": 0.5, "TUNE": "kept"}


def test_a_tuning_that_chose_nothing_or_is_not_known(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"no .*result\.json says which settings were chosen for the model"):
        assert amu(tmp_path, "post_hoc", None, data()) == {"FUSION_ALPHA": 0.5, "TUNE": "off"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no validation images: nothing was chosen, as the result says
        assert amu(tmp_path, "post_hoc", {"fusion_alpha": 0.5}, data("Cars")) == {"FUSION_ALPHA": 0.5, "TUNE": "off"}


# ---------------------------------------------------------------------------------------------------- told apart


def trainer(**parts: Any) -> Any:
    images = [SimpleNamespace(impath="/data/a.jpg", label=0, classname="cat")]
    return SimpleNamespace(dm=SimpleNamespace(dataset=SimpleNamespace(train_x=images)), **parts)


def test_the_images_of_a_model(tmp_path: Path) -> None:
    assert data_of_model(tmp_path) is None
    folder = model(tmp_path)
    with pytest.raises(
        ValueError, match=r"holds a model of Pets, but not its images; --dataset-config-file names them"
    ):
        data_of_model(folder)
    model(folder, {"dataset": "oxford_pets", "cfg": {"DATASET": {"ROOT": "/data"}}})
    assert data_of_model(folder) == ("oxford_pets", "/data")


def test_other_images_of_the_same_names_have_another_fingerprint(tmp_path: Path) -> None:
    images = tmp_path / "0.png", tmp_path / "absent.png"
    prints = []
    for content in (b"one", b"other"):
        images[0].write_bytes(content)
        rows = [SimpleNamespace(impath=str(path), label=0, classname="a") for path in images]
        dataset = SimpleNamespace(train_x=rows)
        found = settings_of(CfgNode({"SEED": 1}), SimpleNamespace(dm=SimpleNamespace(dataset=dataset)))
        prints.append(found["training images"])
    assert prints[0] != prints[1]


def test_settings_have_fingerprints_and_no_places() -> None:
    cfg = CfgNode({"MODEL": {"WEIGHTS": "/weights", "NAME": "x"}, "DATASET": {"ROOT": "/data"}, "SIZE": (2, 2)})
    made = settings_of(cfg, trainer(backbone=SimpleNamespace(sha256="b"), aux_encoder=SimpleNamespace(sha256="a")))
    assert len(made.pop("training images")) == 64
    assert made == {"MODEL.NAME": "x", "SIZE": [2, 2], "backbone sha256": "b", "aux encoder sha256": "a"}
    plain = settings_of(cfg, trainer())
    assert plain["backbone sha256"] is None and plain["aux encoder sha256"] is None


def test_other_settings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "checkpoint").write_text("")
    with pytest.raises(ValueError, match=r"holds a model but no settings\.json"):
        check_same({}, tmp_path, "do this")
    earlier = {"A": 1, "B": 1, "C": 1, "D": 1, "backbone sha256": "x"}
    (tmp_path / "settings.json").write_text(json.dumps(earlier))
    check_same(earlier, tmp_path, "do this")
    with pytest.raises(ValueError, match=re.escape("(A 1 there, 2 here; B 1 there, 2 here; C 1 there, 2 here and 1 ")):
        check_same(earlier | dict.fromkeys("ABCD", 2), tmp_path, "do this")
    changed = earlier | {"backbone sha256": "y", "aux encoder sha256": "z"}
    with pytest.raises(
        ValueError, match=re.escape("(other backbone sha256; aux encoder sha256 not noted there); give")
    ):
        claim_folder(changed, tmp_path)
    assert read_settings(tmp_path) == earlier
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(ValueError, match="is damaged: it holds no settings; remove the run folder"):
        read_settings(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_numbers_that_are_not_finite(value: Any) -> None:
    with pytest.raises(ValueError, match=r"configuration key OPTIM\.LR must be finite"):
        check_finite(CfgNode({"OPTIM": {"LR": value}}))
    check_finite(CfgNode({"OPTIM": {"LR": [1.0, 2]}}))


# ----------------------------------------------------------------------------------------------------- whole runs


def test_raft_on_other_data_keeps_the_models_alpha(
    train_main: Callable[..., Any], make_images: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_images(tmp_path / "data", dict.fromkeys(("ant", "bee", "cat", "dog"), 10))
    subset, rule = "DATASET.SUBSAMPLE_CLASSES", "TRAINER.RAFT.ALPHA_RULE"
    trained = train_main("RAFT", subset, "base", rule, "first_best", root=root)
    alpha = trained.result["fusion_alpha"]
    assert trained.result["protocol"]["selected_on"] == "validation" and alpha != 1.0
    model_dir = ["--eval-only", "--model-dir", str(trained.folder)]
    base, new = (train_main("RAFT", *model_dir, subset, half, root=root).result for half in ("base", "new"))
    assert base["accuracy"] == trained.result["accuracy"] and base["protocol"]["selected_on"] == "validation"
    assert (new["fusion_alpha"], new["protocol"]["selected_on"], new["protocol"]["alpha_rule"]) == (
        alpha,
        "none",
        "fixed",
    )
    assert set(new["per_class_accuracy"]) == {"cat", "dog"}
    chosen = train_main("RAFT", *model_dir, subset, "new", rule, "first_best", root=root).result
    assert chosen["protocol"]["selected_on"] == "validation"
    given = train_main("RAFT", *model_dir, subset, "new", "TRAINER.RAFT.FUSION_ALPHA", "0.9", root=root).result
    assert given["fusion_alpha"] == 0.9 and given["protocol"]["alpha_rule"] == "fixed" and "tuning" not in given


def test_an_evaluation_without_validation_images_keeps_the_models_alpha(
    train_main: Callable[..., Any], make_images: Callable[..., Path], tmp_path: Path
) -> None:
    root = make_images(tmp_path / "data", dict.fromkeys(("ant", "bee"), 10))
    trained = train_main("RAFT", "TRAINER.RAFT.ALPHA_RULE", "first_best", root=root)
    for part in ("train", "test"):
        make_images(tmp_path / "divided" / part, dict.fromkeys(("ant", "bee", "cat"), 3))
    run = train_main("RAFT", "--eval-only", "--model-dir", str(trained.folder), root=tmp_path / "divided")
    assert run.result["fusion_alpha"] == trained.result["fusion_alpha"]
    assert run.result["protocol"]["selected_on"] == "none"
