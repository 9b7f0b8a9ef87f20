"""The model folder beside a result: the same scores as the trainer's, and none where they would not be the same."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import experiments.runs.session
from amu_raft.methods.amu.tuning import FusionSettings, configured_fusion
from amu_raft.methods.selection import Tuning
from amu_raft.model.calibration import NOT_CALIBRATED
from amu_raft.model.model_folder import WEIGHTS_FILE, load_model_folder
from amu_raft.model.model_info import INFO_FILE
from dassl.utils import read_image
from experiments.runs.product import calibrate, largest_gap, write_product
from trainers.zsclip import ZeroshotCLIP

METHODS = ("AMU", "RAFT", "ZeroshotCLIP")
EXACT = ("FEATURES.STORE", "off", "FEATURES.MAPS_PREC", "fp32")  # stored maps are rounded to half precision otherwise


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last run has evaluated, and its trainer."""
    kept: dict[str, Any] = {}

    def keep(plan: Any, trainer: Any, result: Any) -> bool:
        kept["trainer"] = trainer
        return write_product(plan, trainer, result)

    monkeypatch.setattr(experiments.runs.session, "write_product", keep)
    return kept


@pytest.mark.parametrize("precision", ["fp32", "amp"])
@pytest.mark.parametrize("method", METHODS)
def test_test_images_get_the_runs_own_logits(
    method: str, precision: str, train_main: Callable[..., Any], kept: dict[str, Any]
) -> None:
    run = train_main(method, *EXACT, f"TRAINER.{method.upper()}.PREC", precision)
    assert run.status == 0, run.err
    trainer = kept["trainer"]
    with torch.no_grad():
        branches, _ = trainer.collect_branches("test", trainer.test_loader)
    loaded = load_model_folder(run.folder)
    paths = [item.impath for item in trainer.dm.dataset.test]
    found = loaded.model(torch.stack([loaded.info.recipe.pixels(read_image(path)) for path in paths]))
    tolerance = 1e-5 * float(branches["zero_shot"].abs().max())
    torch.testing.assert_close(found.zero_shot, branches["zero_shot"], atol=tolerance, rtol=0)
    torch.testing.assert_close(found.adapted, trainer.decide(branches), atol=tolerance, rtol=0)
    assert not torch.equal(found.adapted, found.zero_shot) or method == "ZeroshotCLIP"


@pytest.mark.parametrize("method", METHODS)
def test_what_the_information_says(method: str, finished: Callable[[str], Any]) -> None:
    run = finished(method)
    content, result = json.loads((run.folder / INFO_FILE).read_text()), run.result
    assert [entry["name"] for entry in content["classes"]] == ["bear", "red_fox", "sea lion"]
    assert content["classes"][1]["key"] == "red_fox" and content["classes"][1]["prompts"][0].count("red fox") == 1
    assert content["backbone"] == {"name": "tiny", "sha256": result["backbone_sha256"], "precision": "fp32"}
    assert (content["aux_encoder"] is not None) == (method == "AMU") and content["encoder_layers"] == "folded"
    assert content["data"]["num_shots"] == 2 and content["data"]["seed"] == 1
    assert content["protocol"] == result["protocol"] and content["versions"] == result["versions"]
    for name in ("accuracy", "zero_shot_accuracy", "total"):
        assert content["metrics"][name] == result[name]
    assert content["calibration"]["images"] == 6 and content["calibration"]["fitted_on"] == "validation"
    assert content["temperature"] == content["calibration"]["temperature"]
    assert f"python predict.py --model {run.folder} IMAGE" in run.out


def test_an_evaluation_writes_one_of_its_own(
    finished: Callable[[str], Any], train_main: Callable[..., Any], tmp_path: Path
) -> None:
    trained = finished("AMU")
    bare = shutil.copytree(trained.folder, tmp_path / "old")
    (bare / INFO_FILE).unlink()
    run = train_main("AMU", "--eval-only", "--model-dir", str(bare))
    one, other = load_model_folder(trained.folder), load_model_folder(run.folder)
    pixels = torch.rand(3, 3, 64, 64)
    assert torch.equal(one.model(pixels).adapted, other.model(pixels).adapted)
    assert one.info.temperature == other.info.temperature and other.info.about["data"]["mode"] == "eval"
    of_training = {"dataset_name": "ImageFolder", "num_shots": 2, "subsample_classes": "all", "seed": 1}
    assert other.info.about["trained_on"] == of_training and "trained_on" not in one.info.about
    on_validation = train_main("AMU", "--eval-only", "--model-dir", str(bare), "TEST.SPLIT", "val")
    assert torch.equal(load_model_folder(on_validation.folder).model(pixels).adapted, other.model(pixels).adapted)


def test_the_temperature_never_sees_test_labels(
    train_main: Callable[..., Any], kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_main("AMU")
    trainer, before = kept["trainer"], load_model_folder(run.folder).info.temperature
    for item in trainer.dm.dataset.test:
        item._label = 0  # the toolbox's items are read-only
    logits, labels = trainer.validation_logits()
    assert len(labels) == 6
    best = F.cross_entropy(logits / before, labels)
    assert best <= F.cross_entropy(logits / (1.05 * before), labels)
    monkeypatch.setattr("trainers.base.trainer.has_own_validation", lambda dataset: False)
    assert trainer.validation_logits() is None
    assert calibrate(trainer) == NOT_CALIBRATED


def test_a_trainer_with_ways_of_its_own(train_main: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ZeroshotCLIP, "decide", lambda self, branches: -branches["zero_shot"])
    run = train_main("ZeroshotCLIP")
    assert run.status == 0, run.err
    assert "decides in a way of its own" in run.out and not (run.folder / INFO_FILE).exists()


def test_a_run_that_fails_at_its_end_leaves_neither_a_result_nor_an_earlier_model(
    train_main: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train_main("AMU")
    assert (first.folder / INFO_FILE).is_file() and (first.folder / WEIGHTS_FILE).is_file()
    assert first.result["seconds"]["model_folder"] < first.result["seconds"]["total"]

    def full(*arguments: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("experiments.runs.product.write_model_folder", full)
    again = train_main("AMU", folder=first.folder)
    assert again.status == 1 and "no space left" in again.error
    names = {path.name for path in first.folder.iterdir()}
    assert names.isdisjoint({INFO_FILE, WEIGHTS_FILE, "result.json"}) and "failure.json" in names


def test_a_run_without_an_evaluation_has_chosen_nothing(train_main: Callable[..., Any]) -> None:
    run = train_main("RAFT", "TEST.NO_TEST", "True")
    assert run.status == 0 and not (run.folder / INFO_FILE).exists()
    assert f"No {INFO_FILE} is written: nothing was evaluated" in run.out


def test_what_was_tuned_is_what_the_model_folder_decides_by(
    train_main: Callable[..., Any], kept: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FusionSettings(fusion_alpha=2.5, uncertainty="none", uncertainty_power=0.9)
    values = other._asdict()
    tuning = Tuning({name: [value] for name, value in values.items()}, torch.full((1, 1, 1), 50.0), (0, 0, 0), 6, "")
    monkeypatch.setattr("amu_raft.methods.amu.tune_fusion", lambda *_: tuning)
    run = train_main("AMU", "TRAINER.AMU.TUNE", "post_hoc")
    assert run.result["tuning"]["chosen"] == values
    assert load_model_folder(run.folder).info.choices.items() >= values.items()
    assert configured_fusion(kept["trainer"].method_settings) != other  # which it was trained with


def test_a_model_chosen_on_test_labels_says_so(train_main: Callable[..., Any]) -> None:
    run = train_main("RAFT", "TEST.FINAL_MODEL", "best_test")
    about = load_model_folder(run.folder).info.about
    assert about["protocol"]["oracle"] and about["protocol"]["selected_on"] == "test"
    assert about["calibration"]["fitted_on"] == "validation"


@pytest.mark.parametrize("layers", ["folded", "plain"])
def test_the_layers_are_the_runs(layers: str, train_main: Callable[..., Any]) -> None:
    run = train_main("AMU", "MODEL.ENCODER_LAYERS", layers)
    assert load_model_folder(run.folder).model.encoders.backbone.layers == layers


def test_a_trainer_from_elsewhere(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert not write_product(plan("--trainer", "AMU"), SimpleNamespace(), {"accuracy": 50.0})
    assert "predict.py cannot use this model: trainer AMU is no registered method" in capsys.readouterr().out


def test_another_test_transform_is_noticed(train_main: Callable[..., Any]) -> None:
    transforms = "['random_resized_crop', 'random_flip', 'normalize', 'instance_norm']"
    run = train_main("ZeroshotCLIP", "INPUT.TRANSFORMS", transforms)
    assert run.status == 0, run.err
    assert "it transforms images" in run.out and not (run.folder / INFO_FILE).exists()


def test_the_gap_of_other_classes(train_main: Callable[..., Any], kept: dict[str, Any]) -> None:
    run = train_main("ZeroshotCLIP")
    loaded = load_model_folder(run.folder)
    assert largest_gap(kept["trainer"], loaded.model, loaded.info.recipe) < 1e-5
    loaded.model.method.text_columns = loaded.model.method.text_columns[:, :2]
    assert largest_gap(kept["trainer"], loaded.model, loaded.info.recipe) == float("inf")
