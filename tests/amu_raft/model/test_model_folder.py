import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.state_files import bundled_weights, sha256_of
from amu_raft.methods.amu.adapter import KnownClasses
from amu_raft.methods.raft.region_attention import RegionAttention
from amu_raft.model.few_shot_model import AMUHead, FewShotModel, Head, RAFTHead, ZeroShotHead
from amu_raft.model.model_folder import WEIGHTS_FILE, load_model_folder, write_model_folder
from amu_raft.model.model_info import INFO_FILE, EncoderIdentity, ModelInfo
from tests.model_folders import small_model

METHODS = ("AMU", "RAFT", "ZeroshotCLIP")
NAMES = ["cat", "Größe", "=1+1"]


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return load_clip("tiny")


def head_of(method: str, backbone: CLIPBackbone, **changes: Any) -> Head:
    torch.manual_seed(0)
    columns = torch.nn.functional.normalize(torch.randn(backbone.feature_dim, 3), dim=0)
    if method == "AMU":
        settings = {"fusion_alpha": 2.0, "uncertainty": "kurtosis", "uncertainty_power": 0.4, "standardize": True}
        return AMUHead(columns, torch.randn(3, 192), **{**settings, **changes})
    if method == "RAFT":
        pooling = RegionAttention(backbone.attention_pool)
        with torch.no_grad():
            pooling.positional_embedding.add_(torch.randn_like(pooling.positional_embedding))
        return RAFTHead(columns, columns.mean(dim=1), pooling, fusion_alpha=0.7)
    return ZeroShotHead(columns)


def model_of(method: str, backbone: CLIPBackbone, head: Head | None = None) -> tuple[FewShotModel, ModelInfo]:
    aux = load_aux_encoder("tiny") if method == "AMU" else None
    head = head or head_of(method, backbone)
    return small_model(head, backbone, aux, names=NAMES, metrics={"accuracy": 80.0})


@pytest.fixture(scope="module")
def written(backbone: CLIPBackbone, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders = {}

    def folder(method: str) -> Path:
        if method not in folders:
            folders[method] = tmp_path_factory.mktemp("model") / method
            write_model_folder(*model_of(method, backbone), folders[method])
        return folders[method]

    return folder


@pytest.mark.parametrize("method", METHODS)
def test_a_copy_says_the_same(method: str, backbone: CLIPBackbone, written: Any, tmp_path: Path) -> None:
    model, info = model_of(method, backbone)
    moved = shutil.copytree(written(method), tmp_path / "elsewhere")
    loaded = load_model_folder(moved)
    assert loaded.info == info and loaded.model.num_classes == 3
    pixels = torch.rand(5, 3, 64, 64)
    expected, found = model(pixels, attention=True), loaded.model(pixels, attention=True)
    for name, one, other in zip(expected._fields, expected, found, strict=True):
        assert (one is None and other is None) or torch.equal(one, other), name
    assert torch.equal(loaded.model.probabilities(found), (expected.adapted / 1.5).softmax(dim=1))
    assert sorted(path.name for path in moved.iterdir()) == [INFO_FILE, WEIGHTS_FILE]


def test_amu_adds_up_and_raft_looks(backbone: CLIPBackbone) -> None:
    pixels = torch.rand(4, 3, 64, 64)
    amu = model_of("AMU", backbone)[0](pixels)
    assert amu.aux is not None and amu.weight is not None and amu.weight.shape == (4, 1)
    torch.testing.assert_close(amu.zero_shot + amu.weight * amu.aux, amu.adapted)
    raft = model_of("RAFT", backbone)[0](pixels, attention=True)
    assert raft.region is not None and raft.attention is not None and raft.attention.shape == (4, 2, 2, 2)
    torch.testing.assert_close(0.7 * raft.region + 0.3 * raft.zero_shot, raft.adapted)


def test_the_encoders_get_the_layers_of_the_training(written: Any, tmp_path: Path) -> None:
    folder, pixels = shutil.copytree(written("AMU"), tmp_path / "model"), torch.rand(4, 3, 64, 64)
    folded = load_model_folder(folder).model
    change(folder, "encoder_layers", "plain")
    plain = load_model_folder(folder).model
    for model, layers in ((folded, "folded"), (plain, "plain")):
        assert (model.backbone.layers, model.required_aux_encoder.layers) == (layers, layers)
    torch.testing.assert_close(plain(pixels).adapted, folded(pixels).adapted)


def test_an_adapter_of_other_classes(backbone: CLIPBackbone, tmp_path: Path) -> None:
    known = KnownClasses(torch.tensor([2]), torch.tensor([1]), 3)
    model, info = model_of("AMU", backbone, head_of("AMU", backbone, known=known))
    write_model_folder(model, info, tmp_path)
    loaded, pixels = load_model_folder(tmp_path), torch.rand(2, 3, 64, 64)
    assert torch.equal(loaded.model(pixels).adapted, model(pixels).adapted)


def test_a_backbone_by_path(backbone: CLIPBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, info = model_of("ZeroshotCLIP", backbone)
    named = ModelInfo(**{**vars(info), "backbone": EncoderIdentity("/gone/my.pt", backbone.sha256)})
    write_model_folder(model, named, tmp_path / "model")
    with pytest.raises(FileNotFoundError, match=r"backbone /gone/my.pt is not here; .* by --weights"):
        load_model_folder(tmp_path / "model")
    shutil.copy(bundled_weights("tiny_clip.pt"), tmp_path / "my.pt")
    for place in (tmp_path, tmp_path / "my.pt"):
        assert load_model_folder(tmp_path / "model", weights=place).info == named
    monkeypatch.setenv("AMU_RAFT_WEIGHTS", str(tmp_path))
    assert load_model_folder(tmp_path / "model").info == named


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
    "method": ("method", "CoOp", "unknown method 'CoOp'; accepted are AMU, RAFT, ZeroshotCLIP"),
    "classes": ("classes", [], '"classes" has 0, a classifier at least 2'),
    "class": ("classes", [{"key": "a", "name": "a"}], 'class 0: "prompts" is missing'),
    "prompts": ("classes", [{"key": "a", "name": "a", "prompts": [1]}], 'class 0: "prompts" must be sentences'),
    "checksum": ("backbone.sha256", "abc", '"backbone.sha256" must be 64 hexadecimal digits'),
    "backbone": ("backbone.sha256", OTHER, f"trained with backbone tiny of sha256 {OTHER}, but the one found here has"),
    "aux": ("aux_encoder.sha256", OTHER, f"trained with aux encoder tiny of sha256 {OTHER}, but the one found"),
    "no aux": ("aux_encoder", None, "adapter is for features of width 192, the aux encoder is missing"),
    "precision": ("backbone.precision", "int8", "\"backbone.precision\" is 'int8', accepted are fp32, amp, fp16"),
    "layers": ("encoder_layers", "fast", "unknown encoder layers 'fast'; choose from folded, plain"),
    "no layers": ("encoder_layers", ..., '"encoder_layers" is missing'),
    "crop": ("preprocessing.crop", "five", "\"preprocessing.crop\" is 'five', accepted is 'center'"),
    "size": ("preprocessing.size", 32, "pictures are made 32 pixels wide, but the input of tiny is 64"),
    "interpolation": ("preprocessing.interpolation", "x", "unknown interpolation 'x'"),
    "mean": ("preprocessing.mean", [0.5], '"preprocessing.mean" must be three numbers'),
    "std": ("preprocessing.std", [0.5, 0.5, 0.0], "three positive stds"),
    "no number": ("preprocessing.std", [0.5, 0.5, "a"], '"preprocessing.std" must be a finite number'),
    "temperature": ("temperature", 0, '"temperature" must be positive, got 0'),
    "huge": ("temperature", 10**400, '"temperature" must be a finite number, got 1000'),
    "alpha": ("choices.fusion_alpha", float("nan"), '"fusion_alpha" must be a finite number, got nan'),
    "alpha as text": ("choices.fusion_alpha", "2", '"fusion_alpha" must be a finite number, got 2'),
    "power": ("choices.uncertainty_power", 10**400, '"uncertainty_power" must be a finite number, got 1000'),
    "standardize": ("choices.standardize", "false", "\"standardize\" must be true or false, got 'false'"),
    "kind": ("choices.uncertainty", "luck", "unknown uncertainty kind 'luck'"),
    "missing choice": ("choices.fusion_alpha", ..., "the model has no fusion_alpha, which AMU needs"),
    "odd choice": ("choices.beta", 1, "AMU has no choice 'beta'"),
    "known": ("choices.known", [[5], [0]], '"known" does not match 3 rows of the adapter to 3 classes'),
    "known of another form": ("choices.known", {}, '"known" must be null or two lists of whole numbers, got {}'),
    "known in tables": ("choices.known", [[[0]], [[0]]], '"known" does not match 3 rows'),
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
    "no adapter": ("AMU", {"adapter.fc.weight": ...}, "the model has no adapter.fc.weight, which AMU needs"),
    "rows": ("AMU", {"adapter.fc.weight": torch.zeros(4, 192)}, "the adapter has 4 rows for 3 classes"),
    "a vector": ("AMU", {"adapter.fc.weight": torch.zeros(4)}, r"shape \(4,\); \(C, F\) is wanted"),
    "width": ("AMU", {"adapter.fc.weight": torch.zeros(3, 9)}, "features of width 9, the aux encoder is of width 192"),
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


def test_a_model_without_its_aux_encoder(backbone: CLIPBackbone) -> None:
    with pytest.raises(ValueError, match="a model of AMU needs an aux encoder"):
        FewShotModel(backbone, head_of("AMU", backbone))(torch.rand(1, 3, 64, 64))


def test_a_failed_write_leaves_the_old_model(
    written: Any, backbone: CLIPBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(written("ZeroshotCLIP"), tmp_path / "model")
    model, info = model_of("AMU", backbone)

    def full(state: Any) -> bytes:
        raise OSError("No space left on device")

    monkeypatch.setattr("amu_raft.model.model_folder.save", full)
    with pytest.raises(OSError, match="No space left"):
        write_model_folder(model, info, folder)
    assert load_model_folder(folder).info.method == "ZeroshotCLIP"
    assert sorted(path.name for path in folder.iterdir()) == [INFO_FILE, WEIGHTS_FILE]
