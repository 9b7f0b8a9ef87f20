"""From a model to an ONNX file that onnxruntime reads."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import amu_raft.export.onnx_export
from amu_raft.export.onnx_export import (
    INPUT,
    OPSETS,
    OUTPUTS,
    TOLERANCE,
    accepted_differences,
    compare,
    export_onnx,
    metadata_of,
)
from amu_raft.methods import method_names
from amu_raft.methods.known_classes import KnownClasses
from amu_raft.model.model_folder import LoadedModel
from amu_raft.model.model_info import EncoderIdentity
from dassl.utils.images import read_image
from tests.model_folders import small_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
METHODS = ("AMU", "RAFT", "ZeroshotCLIP")
NAMES = ["cat", "Größe", "sea lion"]


class Exported:
    """A small model, its file and what was said about the differences."""

    def __init__(self, method: str, path: Path, pixels: Tensor, **options: Any) -> None:
        self.loaded = LoadedModel(*small_model(method, names=NAMES))
        self.path = path
        self.differences = export_onnx(self.loaded, path, pixels, **options)


@pytest.fixture(scope="module")
def pixels(image_root: Path) -> Tensor:
    """Thirty pictures, (30, 3, 64, 64)."""
    recipe = small_model("ZeroshotCLIP", names=NAMES)[1].recipe
    return torch.stack([recipe.pixels(read_image(str(path))) for path in sorted(image_root.rglob("*.png"))])


@pytest.fixture(scope="module")
def exported(pixels: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """Export a method once."""
    done: dict[str, Exported] = {}

    def of(method: str) -> Exported:
        if method not in done:
            path = tmp_path_factory.mktemp("onnx") / "new" / "model.onnx"
            done[method] = Exported(method, path, pixels[:4])
        return done[method]

    return of


def check(exported: Exported, pixels: Tensor) -> None:
    """Compare with torch by hand, for one image, few and many."""
    model = exported.loaded.model
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    for size in (1, 2, len(pixels)):
        scores = model(pixels[:size])
        probabilities, logits = session.run(list(OUTPUTS), {INPUT: pixels[:size].numpy()})
        np.testing.assert_allclose(probabilities, model.probabilities(scores), atol=1e-4)
        np.testing.assert_allclose(logits, scores.adapted, atol=1e-4 * max(1.0, float(scores.adapted.abs().max())))
    assert session.get_inputs()[0].shape[1:] == [3, 64, 64] and isinstance(session.get_inputs()[0].shape[0], str)
    assert exported.differences.keys() == set(OUTPUTS) and max(exported.differences.values()) <= TOLERANCE
    assert [path.name for path in exported.path.parent.iterdir()] == [exported.path.name]


@pytest.mark.parametrize("method", METHODS)
def test_onnxruntime_gives_the_numbers_of_the_model(method: str, exported: Any, pixels: Tensor) -> None:
    check(exported(method), pixels)


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted({*method_names()} - {*METHODS}))
def test_every_other_method_is_exported_too(method: str, pixels: Tensor, tmp_path: Path) -> None:
    check(Exported(method, tmp_path / "model.onnx", pixels[:4]), pixels)


class Noisy:
    """A model whose outputs depend on how many images it takes together."""

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def __call__(self, pixels: Any) -> Any:
        logits = torch.tensor([[1.0, 2.0]]).expand(len(pixels), 2) + self.noise * len(pixels)
        return SimpleNamespace(adapted=logits)

    def probabilities(self, scores: Any) -> Any:
        return scores.adapted / 10


@pytest.mark.parametrize(("noise", "probabilities"), [(0.0, TOLERANCE), (1e-6, TOLERANCE), (1e-2, 4 * 2e-3)])
def test_what_torch_itself_differs_by_is_accepted(noise: float, probabilities: float) -> None:
    model: Any = Noisy(noise)
    found = accepted_differences(model, torch.zeros(3, 3, 2, 2))
    assert found["probabilities"] == pytest.approx(probabilities, rel=1e-3)
    assert found["logits"] == pytest.approx(max(TOLERANCE, 4 * 2 * noise / (2 + 3 * noise)), rel=1e-3)


def test_the_file_says_what_goes_in_and_comes_out(exported: Any) -> None:
    one = exported("AMU")
    info = one.loaded.info
    told = {entry.key: entry.value for entry in onnx.load(one.path).metadata_props}
    assert json.loads(told["classnames"]) == NAMES and told["method"] == "AMU"
    assert json.loads(told["class_keys"]) == info.class_keys and float(told["temperature"]) == info.temperature
    assert told["backbone_sha256"] == info.backbone.sha256
    assert told["aux_encoder_sha256"] == info.aux_encoder.sha256
    assert json.loads(told["preprocessing"])["crop"] == "central 64 x 64"
    assert str(Path(amu_raft.export.onnx_export.__file__).parent).encode() not in one.path.read_bytes()


def test_what_the_file_says_is_enough_without_the_project(exported: Any, image_root: Path) -> None:
    from PIL import Image

    path = next(iter(sorted(image_root.rglob("*.png"))))
    with Image.open(path) as picture:
        array = np.asarray(picture.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC), np.float32) / 255
    one = exported("RAFT")
    session = onnxruntime.InferenceSession(str(one.path), providers=["CPUExecutionProvider"])
    [found] = session.run(["probabilities"], {INPUT: array.transpose(2, 0, 1)[None]})
    model, info = one.loaded
    expected = model.probabilities(model(info.recipe.pixels(read_image(str(path)))[None]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_file_that_differs_is_not_written(
    exported: Any, tmp_path: Path, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that says something else must be seen, and what was there must stay."""
    other = exported("ZeroshotCLIP").path
    monkeypatch.setattr(amu_raft.export.onnx_export, "_write", lambda loaded, path, *_: shutil.copy(other, path))
    path = tmp_path / "model.onnx"
    path.write_text("earlier")
    with pytest.raises(ValueError, match=r"model\.onnx is not written: .* of onnxruntime and torch differ by"):
        export_onnx(exported("AMU").loaded, path, pixels[:3])
    assert path.read_text() == "earlier" and list(tmp_path.iterdir()) == [path]
    graph = onnx.load(other)
    [softmax] = [node for node in graph.graph.node if "probabilities" in node.output]
    softmax.op_type = "Sigmoid"  # adds up to something else
    del softmax.attribute[:]
    onnx.save(graph, tmp_path / "other.onnx")
    other = tmp_path / "other.onnx"
    with pytest.raises(ValueError, match=r"model\.onnx is not written: probabilities of onnxruntime"):
        export_onnx(exported("ZeroshotCLIP").loaded, path, pixels[:3])


@pytest.mark.slow
@pytest.mark.parametrize("labels", [[2, 0], []])
def test_models_for_classes_that_the_method_does_not_know(labels: list[int], tmp_path: Path, pixels: Tensor) -> None:
    """As base-to-new evaluation makes them; the batch must stay dynamic, which the check sees."""
    model, info = small_model("AMU", names=NAMES)
    rows = torch.arange(len(labels))
    model.method.known = KnownClasses(torch.tensor(labels, dtype=torch.long), rows, len(NAMES))
    differences = export_onnx(LoadedModel(model, info), tmp_path / "known.onnx", pixels[:4])
    assert max(differences.values()) <= TOLERANCE


def test_what_onnxruntime_does_not_run_is_one_line(exported: Any, tmp_path: Path, pixels: Tensor) -> None:
    one = exported("ZeroshotCLIP")
    graph = onnx.load(one.path)
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(graph, tmp_path / "two.onnx")
    with pytest.raises(ValueError, match="cannot run the exported model on 30 images"):
        compare(one.loaded.model, tmp_path / "two.onnx", pixels)
    (tmp_path / "none.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot read the exported model"):
        compare(one.loaded.model, tmp_path / "none.onnx", pixels)


def test_the_file_names_no_folder_of_this_machine() -> None:
    model, info = small_model("AMU", names=NAMES)
    named = replace(
        info, backbone=EncoderIdentity("/home/me/x.pt", "1"), aux_encoder=EncoderIdentity("weights/y.pt", "2")
    )
    told = metadata_of(LoadedModel(model, named))
    assert [told[key] for key in ("backbone", "aux_encoder", "aux_encoder_sha256")] == ["x.pt", "y.pt", "2"]


def test_the_file_of_another_model_does_not_compare(exported: Any, pixels: Tensor) -> None:
    differences = compare(exported("AMU").loaded.model, exported("ZeroshotCLIP").path, pixels)
    assert differences["logits"] > TOLERANCE


def test_images_and_precision_that_do_not_fit(tmp_path: Path) -> None:
    model, info = small_model("ZeroshotCLIP", names=NAMES)
    for shape in ((2, 3, 64, 64), (4, 3, 32, 32), (4, 64, 64)):
        with pytest.raises(ValueError, match="the check wants 3 or more images"):
            export_onnx(LoadedModel(model, info), tmp_path / "model.onnx", torch.rand(shape))
    half = LoadedModel(model, replace(info, precision="fp16"))
    with pytest.raises(ValueError, match="computes in fp16"):
        export_onnx(half, tmp_path / "model.onnx", torch.rand(4, 3, 64, 64))
    for opset in (OPSETS[0] - 1, OPSETS[1] + 1):
        with pytest.raises(ValueError, match=f"opset {opset} is not written; accepted are 18 to 23"):
            export_onnx(LoadedModel(model, info), tmp_path / "model.onnx", torch.rand(4, 3, 64, 64), opset=opset)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("opset", range(OPSETS[0], OPSETS[1] + 1))
@pytest.mark.parametrize("method", METHODS)
def test_every_opset(method: str, opset: int, tmp_path: Path, pixels: Tensor) -> None:
    one = Exported(method, tmp_path / "model.onnx", pixels[:4], opset=opset)
    [found] = [entry.version for entry in onnx.load(one.path).opset_import if not entry.domain]
    assert found == opset
