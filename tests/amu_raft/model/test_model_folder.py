import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from amu_raft.backbones.state_files import bundled_weights, sha256_of
from amu_raft.methods import get_method, method_names, register
from amu_raft.methods.known_classes import KnownClasses
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_folder import WEIGHTS_FILE, load_model_folder, write_model_folder
from amu_raft.model.model_info import INFO_FILE, EncoderIdentity, ModelInfo
from tests.model_folders import encoders_of, small_method, small_model

METHODS = ("AMU", "RAFT", "ZeroshotCLIP")
NAMES = ["cat", "Größe", "=1+1"]


def model_of(method: str, **choices: Any) -> tuple[FewShotModel, ModelInfo]:
    return small_model(method, names=NAMES, choices=choices, metrics={"accuracy": 80.0})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders = {}

    def folder(method: str) -> Path:
        if method not in folders:
            folders[method] = tmp_path_factory.mktemp("model") / method
            write_model_folder(*model_of(method), folders[method])
        return folders[method]

    return folder


@pytest.mark.parametrize("method", method_names())
def test_a_copy_says_the_same(method: str, written: Any, tmp_path: Path) -> None:
    model, info = model_of(method)
    moved = shutil.copytree(written(method), tmp_path / "elsewhere")
    loaded = load_model_folder(moved)
    assert loaded.info == info and loaded.model.num_classes == 3
    pixels = torch.rand(5, 3, 64, 64)
    expected, found = model(pixels, explain=True), loaded.model(pixels, explain=True)
    assert expected.tensors().keys() == found.tensors().keys()
    for name, tensor in expected.tensors().items():
        assert torch.equal(tensor, found.tensors()[name]), name
    assert torch.equal(loaded.model.probabilities(found), (expected.adapted / 1.5).softmax(dim=1))
    assert sorted(path.name for path in moved.iterdir()) == [INFO_FILE, WEIGHTS_FILE]


def test_the_encoders_get_the_layers_of_the_training(written: Any, tmp_path: Path) -> None:
    folder, pixels = shutil.copytree(written("AMU"), tmp_path / "model"), torch.rand(4, 3, 64, 64)
    folded = load_model_folder(folder).model
    change(folder, "encoder_layers", "plain")
    plain = load_model_folder(folder).model
    for model, layers in ((folded, "folded"), (plain, "plain")):
        assert model.encoders.aux_encoder is not None
        assert (model.encoders.backbone.layers, model.encoders.aux_encoder.layers) == (layers, layers)
    torch.testing.assert_close(plain(pixels).adapted, folded(pixels).adapted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", [name for name in method_names() if get_method(name).bound_to_classes()])
def test_a_model_of_other_classes(method: str, tmp_path: Path) -> None:
    model, info = model_of(method)
    model.method.known = KnownClasses(torch.tensor([2]), torch.tensor([1]), 3)
    write_model_folder(model, replace(info, choices=model.method.kept_choices()), tmp_path)
    loaded, pixels = load_model_folder(tmp_path), torch.rand(2, 3, 64, 64)
    expected = model(pixels)
    assert loaded.info.choices["known"] == [[2], [1]] and loaded.model.method.num_known == 1
    assert torch.equal(loaded.model(pixels).adapted, expected.adapted)
    if method == "AMU":
        torch.testing.assert_close(expected.adapted[:, :2], expected.zero_shot[:, :2])  # nothing is learned of these


def test_a_backbone_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, info = model_of("ZeroshotCLIP")
    named = replace(info, backbone=EncoderIdentity("/gone/my.pt", info.backbone.sha256))
    write_model_folder(model, named, tmp_path / "model")
    with pytest.raises(FileNotFoundError, match=r"backbone /gone/my.pt is not here; .* by --weights"):
        load_model_folder(tmp_path / "model")
    shutil.copy(bundled_weights("tiny_clip.pt"), tmp_path / "my.pt")
    for place in (tmp_path, tmp_path / "my.pt"):
        assert load_model_folder(tmp_path / "model", weights=place).info == named
    monkeypatch.setenv("AMU_RAFT_WEIGHTS", str(tmp_path))
    assert load_model_folder(tmp_path / "model").info == named


def test_half_precision_stays(tmp_path: Path) -> None:
    model, info = model_of("AMU")
    model.method.half()
    write_model_folder(model, replace(info, precision="fp16"), tmp_path)
    assert {tensor.dtype for tensor in load_model_folder(tmp_path).model.method.state_dict().values()} == {torch.half}


def change(folder: Path, dotted: str, value: Any) -> None:
    """Set an entry of model-info.json; ... removes it."""
    content = json.loads((folder / INFO_FILE).read_text())
    *parents, last = dotted.split(".")
    place = content
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    (folder / INFO_FILE).write_text(json.dumps(content))


def repack(folder: Path, **changes: Any) -> None:
    """Change tensors, with a checksum that agrees."""
    state = {**load_file(folder / WEIGHTS_FILE), **changes}
    save_file({name: value for name, value in state.items() if value is not ...}, folder / WEIGHTS_FILE)
    change(folder, "weights_sha256", sha256_of(folder / WEIGHTS_FILE))


OTHER = "0" * 64
INFO_DAMAGE: dict[str, tuple[str, Any, str]] = {
    "schema": ("schema", 7, r"schema 7 is not one that this version reads \(1\)"),
    "no schema": ("schema", ..., '"schema" is missing'),
    "a boolean": ("schema", True, '"schema" must be of type int, got bool'),
    "method": ("method", "CoOp", r"holds a model of method 'CoOp', .* by --import MODULE \(registered are AMU, "),
    "classes": ("classes", [], '"classes" has 0, a classifier at least 2'),
    "class": ("classes", [{"key": "a", "name": "a"}], 'class 0: "prompts" is missing'),
    "prompts": ("classes", [{"key": "a", "name": "a", "prompts": [1]}], 'class 0: "prompts" must be sentences'),
    "checksum": ("backbone.sha256", "abc", '"backbone.sha256" must be 64 hexadecimal digits'),
    "backbone": ("backbone.sha256", OTHER, f"trained with backbone tiny of sha256 {OTHER}, but the one found here has"),
    "aux": ("aux_encoder.sha256", OTHER, f"trained with aux encoder tiny of sha256 {OTHER}, but the one found"),
    "no aux": ("aux_encoder", None, "features 'aux' are read, so an aux encoder is needed"),
    "precision": ("backbone.precision", "int8", "\"backbone.precision\" is 'int8', accepted are fp32, amp, fp16"),
    "layers": ("encoder_layers", "fast", "unknown encoder layers 'fast'; choose from folded, plain"),
    "no layers": ("encoder_layers", ..., '"encoder_layers" is missing'),
    "crop": ("preprocessing.crop", "five", "\"preprocessing.crop\" is 'five', accepted is 'center'"),
    "size": ("preprocessing.size", 32, "pictures are made 32 pixels wide, but the input of tiny is 64"),
    "interpolation": ("preprocessing.interpolation", "x", "unknown interpolation 'x'"),
    "mean": ("preprocessing.mean", [0.5], '"preprocessing.mean" must be three numbers'),
    "std": ("preprocessing.std", [0.5, 0.5, 0.0], "three positive stds"),
    "no number": ("preprocessing.std", [0.5, 0.5, "a"], '"preprocessing.std" must be a finite number'),
    "temperature": ("temperature", 0, '"temperature" must be from 1e-06 to 1e.06, got 0'),
    "huge": ("temperature", 10**400, '"temperature" must be a finite number, got 1000'),
    "alpha": ("choices.fusion_alpha", float("nan"), "fusion_alpha must be a finite number, got nan"),
    "alpha as text": ("choices.fusion_alpha", "2", "fusion_alpha takes a value of type float, got '2'"),
    "power": ("choices.uncertainty_power", 10**400, r"uncertainty_power must be a finite number, got 10{39}$"),
    "standardize": ("choices.standardize", "false", "standardize_aux takes a value of type bool, got 'false'"),
    "kind": ("choices.uncertainty", "luck", "uncertainty is 'luck'; choose from kurtosis"),
    "missing choice": ("choices.fusion_alpha", ..., 'choice "fusion_alpha" is missing'),
    "odd choice": ("choices.beta", 1, "AMU has no choice 'beta'"),
    "known": ("choices.known", [[5], [0]], '"known" does not match 3 rows of the model to 3 classes'),
    "known of another form": ("choices.known", {}, '"known" must be null or two lists of whole numbers, got {}'),
    "known in tables": ("choices.known", [[[0]], [[0]]], '"known" must be null or two lists of whole numbers'),
    "known in fractions": ("choices.known", [[0.5], [0]], '"known" must be null or two lists of whole numbers'),
    "weights": ("weights_sha256", OTHER, rf"model-info.json beside it says {OTHER}; restore both files"),
}


@pytest.mark.parametrize("case", INFO_DAMAGE)
def test_damaged_information(case: str, written: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(written("AMU"), tmp_path / "model")
    dotted, value, message = INFO_DAMAGE[case]
    change(folder, dotted, value)
    with pytest.raises(ValueError, match=message) as caught:
        load_model_folder(folder)
    assert "\n" not in str(caught.value)


TENSOR_DAMAGE: dict[str, tuple[str, dict[str, Any], str]] = {
    "no columns": ("AMU", {"text_columns": ...}, "text_columns are missing"),
    "columns of other classes": ("RAFT", {"text_columns": torch.zeros(64, 4)}, r"\(D, 3\) is wanted"),
    "columns of another width": ("ZeroshotCLIP", {"text_columns": torch.zeros(5, 3)}, "text columns have width 5"),
    "no adapter": ("AMU", {"adapter.fc.weight": ...}, 'Missing key.*"adapter.fc.weight"'),
    "rows": ("AMU", {"adapter.fc.weight": torch.zeros(4, 192)}, "the model has 4 rows for 3 classes"),
    "a vector": ("AMU", {"adapter.fc.weight": torch.zeros(4)}, "size mismatch for adapter.fc.weight"),
    "width": (
        "AMU",
        {"adapter.fc.weight": torch.zeros(3, 9)},
        r"has shape \(3, 9\); \(C, F\) = \(3, 192\) is wanted",
    ),
    "not finite": ("AMU", {"adapter.fc.weight": torch.full((3, 192), float("nan"))}, "no finite numbers"),
    "pooling": ("RAFT", {"region_attention.k_proj.weight": torch.zeros(2, 2)}, "size mismatch"),
    "half a pooling": ("RAFT", {"region_attention.k_proj.bias": ...}, "Missing key"),
    "one too many": ("ZeroshotCLIP", {"extra": torch.zeros(1)}, "Unexpected key"),
}


@pytest.mark.parametrize("case", TENSOR_DAMAGE)
def test_damaged_tensors(case: str, written: Any, tmp_path: Path) -> None:
    method, changes, message = TENSOR_DAMAGE[case]
    folder = shutil.copytree(written(method), tmp_path / "model")
    repack(folder, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load_model_folder(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 7, 300])
@pytest.mark.parametrize("name", [INFO_FILE, WEIGHTS_FILE])
def test_a_cut_file(name: str, keep: int, written: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(written("RAFT"), tmp_path / "model")
    (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    with pytest.raises(ValueError, match=rf"{name} (is damaged|cannot be read)"):
        load_model_folder(folder)


def test_a_pickle_in_place_of_the_weights_is_not_run(written: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(written("AMU"), tmp_path / "model")
    torch.save({"text_columns": torch.zeros(2, 3)}, folder / WEIGHTS_FILE)
    with pytest.raises(ValueError, match="cannot be read: damaged, or no torch or safetensors file"):
        load_model_folder(folder)


class Program(torch.nn.Module):
    """What torch runs when it reads it: it writes a file into the working folder."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(1))

    def forward(self, values: Tensor) -> Tensor:
        return values

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return (self.weight, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        torch.save(torch.ones(1), "was_run")
        self.weight = state[0]
        self.training = state[1]


def test_a_program_that_a_folder_names_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.jit.script(Program()).save("backbone.pt")
    Path("was_run").unlink(missing_ok=True)
    model, info = model_of("ZeroshotCLIP")
    for sha256, reason in ((sha256_of("backbone.pt"), "it could run code; .* by --weights"), ("0" * 64, "sha256")):
        named = replace(info, backbone=EncoderIdentity("backbone.pt", sha256))
        write_model_folder(model, named, "model")
        with pytest.raises(ValueError, match=reason):
            load_model_folder("model")
        assert not Path("was_run").exists()
    # The user may say that it is to be trusted. Then it is read, and is no CLIP.
    write_model_folder(model, replace(info, backbone=EncoderIdentity("backbone.pt", sha256_of("backbone.pt"))), "model")
    with pytest.raises(ValueError, match="is not in OpenAI's CLIP layout"):
        load_model_folder("model", weights="backbone.pt")
    assert Path("was_run").exists()


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody-here/clip.pt"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    model, info = model_of("ZeroshotCLIP")
    write_model_folder(model, replace(info, backbone=EncoderIdentity(name, "0" * 64)), tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match="the model's backbone") as caught:
        load_model_folder(tmp_path)
    assert "\n" not in str(caught.value)


def test_texts_of_another_type(tmp_path: Path) -> None:
    model, info = model_of("ZeroshotCLIP")
    model.method.text_columns = model.method.text_columns.double()
    write_model_folder(model, info, tmp_path)
    with pytest.raises(ValueError, match=r"text_columns are of type torch.float64; torch.float32 is wanted"):
        load_model_folder(tmp_path)


def test_whole_numbers_and_shared_memory(tmp_path: Path, trainers_of_this_test: None) -> None:
    class Counted(get_method("GDA")):  # type: ignore[misc]
        def build(self, task: Any) -> None:
            super().build(task)
            self.register_buffer("count", torch.tensor([3, 4]))
            self.register_buffer("same", self.count)

    register(Counted)
    encoders = encoders_of(Counted)
    method = small_method(Counted, encoders, ["a", "b"])
    _, info = model_of("GDA")
    model = FewShotModel(encoders, method)
    write_model_folder(model, replace(info, method="Counted", choices=method.kept_choices(), classnames=["a", "b"],
                                      class_keys=["a", "b"], prompts=[["a"], ["b"]]), tmp_path)  # fmt: skip
    again = load_model_folder(tmp_path).model.method.state_dict()
    assert again["count"].tolist() == again["same"].tolist() == [3, 4] and again["count"].dtype == torch.int64


def test_folders_without_a_model(tmp_path: Path, written: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model folder .*nowhere"):
        load_model_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no model-info.json, which train.py writes .* --eval-only"):
        load_model_folder(tmp_path)
    (tmp_path / "settings.json").touch()
    with pytest.raises(FileNotFoundError, match=r"has not come to its end; the same train.py command"):
        load_model_folder(tmp_path)
    folder = shutil.copytree(written("AMU"), tmp_path / "model")
    with pytest.raises(FileNotFoundError, match=rf"folders below that have one: {folder}$"):
        load_model_folder(tmp_path)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match="no model weights at"):
        load_model_folder(folder)


def test_a_failed_write_leaves_the_old_model(written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(written("ZeroshotCLIP"), tmp_path / "model")
    model, info = model_of("AMU")

    def full(state: Any) -> bytes:
        raise OSError("No space left on device")

    monkeypatch.setattr("amu_raft.model.model_folder.save", full)
    with pytest.raises(OSError, match="No space left"):
        write_model_folder(model, info, folder)
    assert load_model_folder(folder).info.method == "ZeroshotCLIP"
    assert sorted(path.name for path in folder.iterdir()) == [INFO_FILE, WEIGHTS_FILE]
