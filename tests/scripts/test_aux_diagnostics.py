import json
from pathlib import Path
from typing import Any

import pytest

from scripts import aux_diagnostics
from scripts.aux_diagnostics import Measured, main, measure

QUICK = ("OPTIM.MAX_EPOCH", "2", "TRAIN.VIEWS", "1")


def test_tiny_on_validation_images_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    from trainers.base.choices import Choices

    seen = []
    collect = Choices.collect_branches

    def noted(self: Any, split: str, loader: Any) -> Any:
        seen.append({item.impath for item in loader.dataset.data_source})
        assert not seen[-1] & {item.impath for item in self.dm.dataset.test}
        assert not seen[-1] & {item.impath for item in self.dm.dataset.train_x}
        return collect(self, split, loader)

    monkeypatch.setattr(Choices, "collect_branches", noted)
    report, figure = tmp_path / "aux.json", tmp_path / "aux.svg"
    command = ["--shots", "1", "--seeds", "11", "12", "--json", str(report), "--figure", str(figure)]
    assert main([*command, "--opts", *QUICK, "FEATURES.STORE", str(tmp_path / "store")]) == 0
    out = capsys.readouterr().out
    assert "digits, 1 shot, 362 validation images, seeds 11 12" in out and "| tiny " in out and "±" in out
    assert seen and all(len(images) == 362 for images in seen)
    found = json.loads(report.read_text())
    assert (found["schema"], found["dataset"], found["shots"], found["split"]) == (1, "digits", 1, "validation")
    assert [(entry["aux_encoder"], entry["seed"], entry["images"]) for entry in found["runs"]] == [
        ("tiny", 11, 362),
        ("tiny", 12, 362),
    ]
    for entry in found["runs"]:
        assert 20 < entry["sup"] < 100 and 0 < entry["cmy"] < 2 and 0 < entry["cmy_centred"] < 2
        assert entry["fused"] > entry["sup"] and entry["zero_shot"] == found["runs"][0]["zero_shot"]
    assert figure.read_text().startswith("<?xml")


def test_the_best_fusion_comes_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def stub(command: list[str], folder: str) -> Measured:
        commands.append(command)
        good = "better.pt" in command
        return Measured(70.0 + good, 0.9, 0.5, 80.0 + good, 60.0, 100)

    monkeypatch.setattr(aux_diagnostics, "measure", stub)
    assert main(["--aux", "tiny", "better.pt", "--seeds", "1", "--root", "/data", "--opts", "OPTIM.LR", "0.1"]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[3:]]
    assert rows == [
        ["better.pt", "71.00", "0.9000", "0.5000", "81.00", "60.00"],
        ["tiny", "70.00", "0.9000", "0.5000", "80.00", "60.00"],
    ]
    assert commands[0][-4:] == ["OPTIM.LR", "0.1", "TRAINER.AMU.AUX_ENCODER", "tiny"]
    assert commands[0][commands[0].index("--root") + 1] == "/data"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--aux", "nonsense", "--seeds", "1"], "no aux encoder 'nonsense'; accepted: tiny, mocov3_rn50"),
        (["--figure", "aux.gif"], "must end in .png, .svg, .pdf, got 'aux.gif'"),
        (["--dataset", "nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--aux", "tiny", "tiny"], "--aux names something twice: tiny tiny"),
        (["--seeds", "1", "1"], "--seeds names something twice: 1 1"),
        (["--shots", "0"], "--shots must be at least 1, got 0"),
    ],
)
def test_a_wrong_command(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err


def test_test_images_are_never_taken_for_validation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.validation.has_own_validation", lambda dataset: False)
    command = ["--trainer", "AMU", "DATASET.NUM_SHOTS", "1", "FEATURES.STORE", str(tmp_path / "store")]
    with pytest.raises(ValueError, match="Digits has no validation images that are not test images"):
        measure(command, str(tmp_path / "run"))
