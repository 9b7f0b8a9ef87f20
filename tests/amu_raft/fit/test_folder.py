"""What tests of the command amu-raft fit leave open."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from amu_raft.fit import folder
from amu_raft.fit.fitting import Given, fit_model
from amu_raft.fit.folder import Accuracy, evaluate, fit_folder, prompts_of
from amu_raft.images.given_images import square_of
from amu_raft.model.model_folder import LoadedModel, load_model_folder
from amu_raft.prediction.session import score
from tests.amu_raft.fit.counting import NAMES, fitting, given, squares
from tests.conftest import write_images


@pytest.fixture(scope="module")
def says_class_2() -> LoadedModel:
    return fit_model(fitting(settings={"epochs": 2}))


def zero_shot_of(model: LoadedModel, pictures: list[Any]) -> list[int]:
    seen = torch.stack([square_of(picture, place, model.info.recipe) for place, picture in enumerate(pictures)])
    return score(model.model, seen, torch.device("cpu")).zero_shot.argmax(dim=1).tolist()


def test_right_images_are_counted(says_class_2: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = squares([0, 1, 2, 2, 1])
    said = zero_shot_of(says_class_2, pictures)
    numbers = [said[0], 2, 2, said[3], (said[4] + 1) % 3]
    right = sum(one == other for one, other in zip(said, numbers, strict=True))
    expected = Accuracy(5, numbers.count(2), right)
    assert 2 <= right <= 4 and evaluate(says_class_2, Given(pictures, numbers)) == expected
    monkeypatch.setattr(folder, "BATCH", 2)
    assert evaluate(says_class_2, Given(pictures, numbers)) == expected


def test_the_record_of_an_evaluation_is_in_percent() -> None:
    assert Accuracy(8, 6, 3).record() == {
        "split": "test", "total": 8, "correct": 6, "accuracy": 75.0, "zero_shot_accuracy": 37.5
    }  # fmt: skip


def test_scores_that_are_no_numbers_end_the_evaluation() -> None:
    damaged = fit_model(fitting(settings={"epochs": 1}))
    damaged.model.method.text_columns.fill_(float("nan"))
    with pytest.raises(ArithmeticError, match="the model's scores of the test images are no finite numbers"):
        evaluate(damaged, given(0, 1))


def test_a_narrow_test_image_is_named(says_class_2: LoadedModel) -> None:
    with pytest.raises(ValueError, match="image 1: 1 x 9000000 pixels are too narrow"):
        evaluate(says_class_2, Given([squares([0])[0], Image.new("1", (1, 9_000_000))], [0, 0]))


def test_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usual = [[f"a photo of a {name}."] for name in NAMES]
    assert prompts_of(tmp_path, NAMES, None) == usual
    (tmp_path / "prompts.json").write_text(json.dumps({name: [f"the {name}", "x"] for name in NAMES}))
    (tmp_path / "list.csv").write_text("")
    for source in (tmp_path, tmp_path / "list.csv"):  # beside a list as in a folder
        assert prompts_of(source, NAMES, None) == [[f"the {name}", "x"] for name in NAMES]
        assert str(tmp_path / "prompts.json") in capsys.readouterr().out
        assert prompts_of(source, NAMES, ["{}!", "{}?"]) == [[f"{name}!", f"{name}?"] for name in NAMES]
        assert capsys.readouterr().out == ""
    (tmp_path / "prompts.json").write_text(json.dumps({"zero": ["a nought"]}))
    with pytest.raises(ValueError, match="one"):
        prompts_of(tmp_path, NAMES, None)


def fit(source: Path, output: Path, **parts: Any) -> LoadedModel:
    usual: dict[str, Any] = {
        "method": "ZeroshotCLIP", "backbone": "tiny", "shots": None, "seed": 1, "templates": None, "weights": None,
        "device": "cpu", "settings": {},
    }  # fmt: skip
    return fit_folder(source, output, **{**usual, **parts})


def test_parts_of_a_list_are_those_that_are_trained_and_tested_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = write_images(tmp_path / "images", {"bear": 4, "sea lion": 4})
    rows = [
        (f"images/{name}/{number}.png", name, ["train", "train", "val", "test"][number])
        for name in ("bear", "sea lion")
        for number in range(4)
    ]
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label", "split"), *rows])
    found = fit(tmp_path / "list.csv", tmp_path / "model")
    assert "2 classes: 4 training images, 2 to choose and calibrate on, 2 to test with" in capsys.readouterr().out
    about = found.info.about
    assert about["data"] == {"dataset_name": "list.csv", "num_shots": 0, "division": "", "seed": 1}
    assert (about["metrics"]["split"], about["metrics"]["total"]) == ("test", 2)
    assert (about["validation"]["split"], about["validation"]["total"]) == ("val", 2)
    tested = [np.asarray(Image.open(images / name / "3.png")) for name in ("bear", "sea lion")]
    right = sum(said == number for number, said in enumerate(zero_shot_of(found, tested)))
    assert about["metrics"]["correct"] == right
    loaded = load_model_folder(tmp_path / "model")
    assert loaded.info.about["metrics"] == about["metrics"] and loaded.info.class_keys == ["bear", "sea lion"]


def test_an_earlier_model_is_replaced_and_other_files_stay(image_root: Path, tmp_path: Path) -> None:
    fit(image_root, tmp_path, templates=["one {}"])
    (tmp_path / "notes.txt").write_text("mine")
    fit(image_root, tmp_path, templates=["two {}"])
    assert load_model_folder(tmp_path).info.prompts[0] == ["two bear"]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "model-info.json", "model.safetensors"}
