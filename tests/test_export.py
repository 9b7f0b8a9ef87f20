"""From a finished run to an ONNX file by the command line."""

from pathlib import Path
from typing import Any

import pytest

import amu_raft.export.command
import export
from amu_raft.export.command import CHECKED, photographs
from amu_raft.export.onnx_export import OPSETS, compare
from amu_raft.model.model_folder import load_model_folder
from amu_raft.model.model_info import INFO_FILE
from tests.conftest import MakeImages

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert export.main([*argv]) == 1
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_a_run_becomes_a_file(finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checked on parts of the two photographs that scikit-learn brings, as long as no pictures are given."""
    path = tmp_path / "new" / "model.onnx"
    assert export.main(["--model", str(finished("ZeroshotCLIP").folder), "--output", str(path)]) == 0
    printed = capsys.readouterr()
    assert f"{path}: 3 classes, " in printed.out and not printed.err
    assert f"differ on {len(photographs())} images by at most" in printed.out
    loaded = load_model_folder(finished("ZeroshotCLIP").folder)
    pixels = amu_raft.export.command.check_pixels(loaded.info.recipe, None)
    assert max(compare(loaded.model, path, pixels).values()) <= 1e-4 and pixels.shape == (10, 3, 64, 64)


@pytest.mark.slow
def test_it_is_checked_on_ones_own_pictures(
    finished: Any, tmp_path: Path, image_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--model", str(finished("ZeroshotCLIP").folder), "--output", str(tmp_path / "own.onnx"), "--opset", "20"]
    assert export.main([*argv, "--images", str(image_root)]) == 0
    printed = capsys.readouterr()
    assert "differ on 30 images by at most" in printed.out and not printed.err
    [opset] = [entry.version for entry in onnx.load(tmp_path / "own.onnx").opset_import if not entry.domain]
    assert opset == 20


def test_no_more_pictures_are_checked_than_is_worth_it(tmp_path: Path, make_images: MakeImages) -> None:
    images = str(make_images(tmp_path, {"a": CHECKED, "b": 3}, size=(8, 8)))
    assert len(amu_raft.export.command.pictures_at(images)) == CHECKED


def test_what_is_refused(finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", str(finished("ZeroshotCLIP").folder))
    output = ("--output", str(tmp_path / "model.onnx"))
    accepted = f"accepted are {OPSETS[0]} to {OPSETS[1]}"
    assert f"opset 9 is not written; {accepted}" in error_of(capsys, *model, *output, "--opset", "9")
    assert f"--output {tmp_path} is a folder" in error_of(capsys, *model, "--output", str(tmp_path))
    assert "no model folder" in error_of(capsys, "--model", str(tmp_path / "none"), *output)
    assert INFO_FILE in error_of(capsys, "--model", str(tmp_path), *output)
    (tmp_path / "broken.png").write_text("no picture")
    assert "broken.png" in error_of(capsys, *model, *output, "--images", str(tmp_path / "broken.png"))
    assert "no such file" in error_of(capsys, *model, *output, "--images", str(tmp_path / "absent.png"))
    assert not (tmp_path / "model.onnx").exists()


def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(amu_raft.export.command, "NEEDED", ("onnx", "a_package_of_nobody"))
    line = error_of(capsys, "--model", str(tmp_path), "--output", str(tmp_path / "model.onnx"))
    assert line.startswith("error: a_package_of_nobody not installed: pip install")
