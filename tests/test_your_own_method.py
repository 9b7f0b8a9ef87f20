"""The template of docs/your_own_method.md goes everywhere that a method of the project goes."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

import export
import parse_results
import predict
import train
from amu_raft import FewShotClassifier
from amu_raft.methods import get_method
from amu_raft.model.model_folder import load_model_folder
from scripts import sweep

PAGE = Path(__file__).parents[1] / "docs" / "your_own_method.md"
SMALL = (
    "DATASET.NUM_SHOTS",
    "4",
    "TRAIN.CHECKPOINT_FREQ",
    "2",
    "OPTIM.MAX_EPOCH",
    "6",
    "DATALOADER.TRAIN_X.BATCH_SIZE",
)


@pytest.fixture
def module(workdir: Path, trainers_of_this_test: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The template in a file, as the page says."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (workdir / "my_method.py").write_text(template())
    yield "my_method.py"
    sys.modules.pop("my_method", None)


def template() -> str:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return str(code)


def trained(module: str, folder: Path, *more: str) -> int:
    return train.main(
        ["--import", module, "--trainer", "ClassMeans", "--output-dir", str(folder), *SMALL, "8", *more],
    )


def weights(folder: Path) -> Any:
    state = torch.load(folder / "model" / "model.pth.tar-6", weights_only=True)["state_dict"]
    return state["means"]


def test_it_is_short() -> None:
    assert len(template().splitlines()) <= 60


def test_training_resume_and_evaluation(module: str, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained(module, workdir / "whole") == 0
    result = json.loads((workdir / "whole" / "result.json").read_text())
    assert set(result["branches"]) == {"zero_shot", "means", "adapted"} and set(result["tuning"]["chosen"]) == {
        "weight"
    }

    kind, calls = get_method("ClassMeans"), list[int]()
    loss = kind.loss

    def stops(self: Any, *given: Any) -> Any:
        calls.append(len(calls))
        if len(calls) == 17:  # epoch 4 of 5 batches each
            raise KeyboardInterrupt
        return loss(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "loss", stops)
        assert trained(module, workdir / "halves") == 130
    calls.clear()
    assert not (workdir / "halves" / "result.json").exists()

    def counted(self: Any, *given: Any) -> Any:
        calls.append(len(calls))
        return loss(self, *given)

    monkeypatch.setattr(kind, "loss", counted)
    assert trained(module, workdir / "halves") == 0
    assert 0 < len(calls) < 30  # not all of its 6 epochs anew
    assert torch.equal(weights(workdir / "whole"), weights(workdir / "halves"))

    evaluated = ["--eval-only", "--model-dir", str(workdir / "whole"), "--output-dir", str(workdir / "again")]
    assert train.main(["--import", module, "--trainer", "ClassMeans", *evaluated, *SMALL, "8"]) == 0
    again = json.loads((workdir / "again" / "result.json").read_text())
    assert again["branches"] == result["branches"] and again["mode"] == "eval"


def test_what_is_done_with_the_model(module: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = workdir / "run"
    assert trained(module, run) == 0
    assert f"python predict.py --import {module} --model {run}" in capsys.readouterr().out
    picture = workdir / "picture.png"
    from PIL import Image

    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(picture)
    asked = ["--import", module, "--model", str(run)]
    assert predict.main([*asked, str(picture), "--explain", str(workdir / "why"), "--format", "jsonl"]) == 0
    printed = capsys.readouterr().out
    assert load_model_folder(run).info.method == "ClassMeans" and str(picture) in printed
    [page] = (workdir / "why").iterdir()
    assert Image.open(page).size[0] > 100

    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    assert export.main([*asked, "--output", str(workdir / "model.onnx")]) == 0
    assert "differ on" in capsys.readouterr().out and (workdir / "model.onnx").is_file()


def test_fit_from_the_command_line_names_the_module(
    module: str, image_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from amu_raft.cli import main

    asked = ["fit", str(image_root), "--import", module, "--method", "ClassMeans", "--output", "model", "epochs", "1"]
    assert main(asked) == 0
    assert f"amu-raft predict --import {module} --model model IMAGE" in capsys.readouterr().out


UNWRITABLE = """
import torch
from amu_raft.methods import Method, register


@register
class Eigenvalues(Method):
    learns = "nothing"

    def branches(self, features):
        zero_shot = self.zero_shot(features)
        values, _ = torch.linalg.eigh(self.text_columns.t() @ self.text_columns)
        return {"zero_shot": zero_shot, "adapted": zero_shot * values.max()}
"""


def test_what_onnx_has_no_operator_for_is_said_in_one_line(
    module: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    (workdir / "eigenvalues.py").write_text(UNWRITABLE)
    asked = ["--import", "eigenvalues.py"]
    assert train.main([*asked, "--trainer", "Eigenvalues", "--output-dir", "run"]) == 0
    capsys.readouterr()
    assert export.main([*asked, "--model", "run", "--output", "model.onnx"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "the model cannot be written as ONNX" in line and "eigh" in line and "\x1b" not in line and len(line) < 420
    assert not Path("model.onnx").exists()


def test_without_import_it_is_said_what_is_missing(
    module: str, workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from amu_raft.methods import registry

    assert trained(module, workdir / "run") == 0
    registry._METHODS.pop("ClassMeans")
    capsys.readouterr()
    assert predict.main(["--model", str(workdir / "run"), "picture.png"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "ClassMeans" in line and "--import" in line


def test_sweep_and_report(module: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--trainers", "ZeroshotCLIP", "ClassMeans", "--shots", "1", "2", "--seeds", "1", "--datasets", "digits"]
    assert sweep.main([*asked, "--import", module, "--jobs", "0", "--output-dir", "swept", *SMALL[2:], "8"]) == 0
    capsys.readouterr()
    assert parse_results.main(["swept", "--html", "report.html"]) == 0
    table, page = capsys.readouterr().out, Path("report.html").read_text()
    assert "ClassMeans" in table and "ClassMeans" in page and "TRAINER.CLASSMEANS.WEIGHT" in page


def test_classifier(module: str) -> None:
    from amu_raft.strangers import import_modules

    [imported] = import_modules([module])
    random = np.random.default_rng(0)
    shades = [np.clip(random.normal(60 + 120 * (n % 2), 20, (32, 32, 3)), 0, 255).astype(np.uint8) for n in range(20)]
    labels = ["dark", "bright"] * 10
    given: dict[str, Any] = {"settings": {"epochs": 3}, "random_state": 0}
    by_class = FewShotClassifier(imported.ClassMeans, **given).fit(shades, labels)
    by_name = FewShotClassifier("classmeans", **given).fit(shades, labels)
    assert np.array_equal(by_class.predict_proba(shades), by_name.predict_proba(shades))
    assert by_class.score(shades, labels) > 0.8
    search = GridSearchCV(
        FewShotClassifier(**given), {"method": [imported.ClassMeans, "ZeroshotCLIP"]}, cv=2, error_score="raise"
    )
    assert len(search.fit(shades, labels).cv_results_["params"]) == 2
