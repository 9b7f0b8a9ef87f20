"""From a finished run to an ONNX file that onnxruntime reads."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import amu_raft.export.onnx_export
import export
from amu_raft.export.onnx_export import INPUT, OPSETS, OUTPUTS, TOLERANCE, compare, export_onnx, metadata_of
from amu_raft.model.few_shot_model import AMUHead, FewShotModel, build_head
from amu_raft.model.model_folder import LoadedModel, load_model_folder
from amu_raft.model.model_info import INFO_FILE, EncoderIdentity
from dassl.utils import read_image

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
METHODS = ("AMU", "RAFT", "ZeroshotCLIP")
Exported = Callable[[str], Path]


@pytest.fixture(scope="module")
def exported(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Export a method's small run by the command line, once; the file."""
    files: dict[str, Path] = {}

    def file_of(method: str) -> Path:
        if method not in files:
            path = tmp_path_factory.mktemp("onnx") / "new" / "model.onnx"
            assert export.main(["--model", str(finished(method).folder), "--output", str(path)]) == 0
            files[method] = path
        return files[method]

    return file_of


def error_of(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert export.main([*argv]) == 1
    [line] = capsys.readouterr().err.splitlines()
    return line


def pixels_of(root: Path, loaded: LoadedModel) -> torch.Tensor:
    return torch.stack([loaded.info.recipe.pixels(read_image(str(path))) for path in sorted(root.rglob("*.png"))])


@pytest.mark.parametrize("method", METHODS)
def test_onnxruntime_gives_the_probabilities_of_the_model(
    method: str, finished: Any, exported: Exported, image_root: Path
) -> None:
    loaded = load_model_folder(finished(method).folder)
    session = onnxruntime.InferenceSession(str(exported(method)), providers=["CPUExecutionProvider"])
    pixels = pixels_of(image_root, loaded)
    for size in (1, 2, len(pixels)):
        scores = loaded.model(pixels[:size])
        probabilities, logits = session.run(list(OUTPUTS), {INPUT: pixels[:size].numpy()})
        np.testing.assert_allclose(probabilities, loaded.model.probabilities(scores), atol=1e-4)
        np.testing.assert_allclose(logits, scores.adapted, atol=1e-4 * float(scores.adapted.abs().max()))
    assert session.get_inputs()[0].shape[1:] == [3, 64, 64] and isinstance(session.get_inputs()[0].shape[0], str)


def test_the_file_says_what_goes_in_and_comes_out(finished: Any, exported: Exported) -> None:
    info = load_model_folder(finished("AMU").folder).info
    model = onnx.load(exported("AMU"))
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["classnames"]) == info.classnames and told["backbone_sha256"] == info.backbone.sha256
    assert json.loads(told["preprocessing"])["crop"] == "central 64 x 64"
    assert str(Path(amu_raft.export.onnx_export.__file__).parent).encode() not in exported("AMU").read_bytes()


def test_what_the_file_says_is_enough_without_the_project(finished: Any, exported: Exported, image_root: Path) -> None:
    from PIL import Image

    path = next(iter(sorted(image_root.rglob("*.png"))))
    with Image.open(path) as picture:
        array = np.asarray(picture.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC), np.float32) / 255
    session = onnxruntime.InferenceSession(str(exported("RAFT")), providers=["CPUExecutionProvider"])
    [found] = session.run(["probabilities"], {INPUT: array.transpose(2, 0, 1)[None]})
    loaded = load_model_folder(finished("RAFT").folder)
    expected = loaded.model.probabilities(loaded.model(loaded.info.recipe.pixels(read_image(str(path)))[None]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


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


def test_a_file_that_differs_is_not_written(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong scale in the traced model must be seen, and what was there must stay."""

    class Wrong(amu_raft.export.onnx_export._Traced):
        def __init__(self, model: Any) -> None:
            super().__init__(model)
            self.temperature = 1.5 * model.temperature

    monkeypatch.setattr(amu_raft.export.onnx_export, "_Traced", Wrong)
    path = tmp_path / "model.onnx"
    path.write_text("earlier")
    line = error_of(capsys, "--model", str(finished("ZeroshotCLIP").folder), "--output", str(path))
    assert "model.onnx is not written: probabilities of onnxruntime and torch differ by" in line
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("labels", [[2, 0], [1], []])
def test_models_for_classes_that_the_adapter_does_not_know(
    labels: list[int], finished: Any, tmp_path: Path, image_root: Path
) -> None:
    """As base-to-new evaluation makes them; the batch must stay dynamic, which the check sees."""
    loaded = load_model_folder(finished("AMU").folder)
    head = loaded.model.head
    assert isinstance(head, AMUHead)
    choices = {**head.choices(), "known": [labels, list(range(len(labels)))]}
    changed = build_head("AMU", head.state_dict(), choices, loaded.model.backbone)
    model = FewShotModel(loaded.model.backbone, changed, aux_encoder=loaded.model.aux_encoder)
    pixels = pixels_of(image_root, loaded)[:4]
    differences = export_onnx(LoadedModel(model, loaded.info), tmp_path / "known.onnx", pixels)
    assert max(differences.values()) <= TOLERANCE


def test_what_onnxruntime_does_not_run_is_one_line(
    finished: Any, exported: Exported, tmp_path: Path, image_root: Path
) -> None:
    loaded = load_model_folder(finished("ZeroshotCLIP").folder)
    graph = onnx.load(exported("ZeroshotCLIP"))
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(graph, tmp_path / "two.onnx")
    with pytest.raises(ValueError, match="cannot run the exported model on 30 images"):
        compare(loaded.model, tmp_path / "two.onnx", pixels_of(image_root, loaded))
    (tmp_path / "none.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot read the exported model"):
        compare(loaded.model, tmp_path / "none.onnx", pixels_of(image_root, loaded))


def test_the_file_names_no_folder_of_this_machine(finished: Any) -> None:
    loaded = load_model_folder(finished("AMU").folder)
    info = replace(
        loaded.info, backbone=EncoderIdentity("/home/me/x.pt", "1"), aux_encoder=EncoderIdentity("weights/y.pt", "2")
    )
    told = metadata_of(LoadedModel(loaded.model, info))
    assert [told[key] for key in ("backbone", "aux_encoder", "aux_encoder_sha256")] == ["x.pt", "y.pt", "2"]


def test_a_wrong_file_does_not_compare(finished: Any, exported: Exported, image_root: Path) -> None:
    loaded = load_model_folder(finished("AMU").folder)
    differences = compare(loaded.model, exported("ZeroshotCLIP"), pixels_of(image_root, loaded))
    assert differences["logits"] > TOLERANCE


def test_what_is_refused(finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ("--model", str(finished("ZeroshotCLIP").folder))
    output = ("--output", str(tmp_path / "model.onnx"))
    assert "opset 9 is not written; accepted are 18 to 23" in error_of(capsys, *model, *output, "--opset", "9")
    assert f"--output {tmp_path} is a folder" in error_of(capsys, *model, "--output", str(tmp_path))
    assert "no model folder" in error_of(capsys, "--model", str(tmp_path / "none"), *output)
    assert INFO_FILE in error_of(capsys, "--model", str(tmp_path), *output)
    (tmp_path / "broken.png").write_text("no picture")
    assert "broken.png" in error_of(capsys, *model, *output, "--images", str(tmp_path / "broken.png"))
    assert "no such file" in error_of(capsys, *model, *output, "--images", str(tmp_path / "absent.png"))
    assert not (tmp_path / "model.onnx").exists()


def test_images_and_precision_that_do_not_fit(finished: Any, tmp_path: Path) -> None:
    loaded = load_model_folder(finished("ZeroshotCLIP").folder)
    for shape in ((2, 3, 64, 64), (4, 3, 32, 32), (4, 64, 64)):
        with pytest.raises(ValueError, match="the check wants 3 or more images"):
            export_onnx(loaded, tmp_path / "model.onnx", torch.rand(shape))
    half = LoadedModel(loaded.model, loaded.info.__class__(**{**vars(loaded.info), "precision": "fp16"}))
    with pytest.raises(ValueError, match="computes in fp16"):
        export_onnx(half, tmp_path / "model.onnx", torch.rand(4, 3, 64, 64))


def test_a_missing_package_is_named(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "NEEDED", ("onnx", "a_package_of_nobody"))
    line = error_of(capsys, "--model", str(finished("ZeroshotCLIP").folder), "--output", str(tmp_path / "model.onnx"))
    assert line.startswith("error: a_package_of_nobody not installed: pip install")


@pytest.mark.slow
@pytest.mark.parametrize("opset", range(OPSETS[0], OPSETS[1] + 1))
def test_every_opset(opset: int, finished: Any, tmp_path: Path) -> None:
    for method in METHODS:
        argv = ["--model", str(finished(method).folder), "--output", str(tmp_path / f"{method}.onnx")]
        assert export.main([*argv, "--opset", str(opset)]) == 0
