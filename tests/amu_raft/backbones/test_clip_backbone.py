import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from amu_raft.backbones.clip_backbone import CLIPBackbone, available_backbones, check_grid, load_clip
from amu_raft.backbones.official_weights import CLIP_FILES
from amu_raft.backbones.precision import Precision
from amu_raft.backbones.state_files import sha256_of
from amu_raft.backbones.text_classifier import tokenize
from amu_raft.downloads import connection
from amu_raft.methods.raft.region_attention import RegionAttention
from tests.amu_raft.backbones.random_statistics import randomise_statistics
from tests.amu_raft.downloads.faulty_server import Served, faulty_server

State = dict[str, Tensor]


def saved(state: Any, path: Path) -> str:
    torch.save(state, path)
    return str(path)


def images(count: int, side: int, *, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def wrap(model: Any, precision: str = "fp32") -> CLIPBackbone:
    return CLIPBackbone(model=model, name="test", sha256="", precision=Precision(precision))


# ------------------------------------------------------------------------------------------------- accepted forms

FORMS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "under state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "under model": lambda state: {"model": state, "optimizer": None},
    "module prefix": lambda state: {f"module.{key}": value for key, value in state.items()},
    "nested and prefixed": lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
    "half precision": lambda state: {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    },
    "double precision": lambda state: {
        key: value.double() if value.is_floating_point() else value for key, value in state.items()
    },
    "with OpenAI's numbers": lambda state: {
        **state,
        **{
            name: torch.tensor(value)
            for name, value in (("input_resolution", 64), ("context_length", 77), ("vocab_size", 49408))
        },
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_state_dict(form: str, tiny_clip: Any, tiny_state: State, tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    backbone = load_clip(saved(FORMS[form](tiny_state), path))
    assert (backbone.name, backbone.sha256) == (str(path), sha256_of(path))
    assert (backbone.input_resolution, backbone.feature_dim, backbone.grid) == (64, 16, (2, 2))
    assert backbone.logit_scale == pytest.approx(1 / 0.07, rel=1e-3)
    expected = wrap(tiny_clip()).encode_image(images(2, 64))
    # Convolutions and projections pass through half precision, as in OpenAI's own files.
    torch.testing.assert_close(backbone.encode_image(images(2, 64)), expected, rtol=0.02, atol=0.02)


def test_safetensors(tiny_state: State, tmp_path: Path) -> None:
    save_file({key: value.contiguous() for key, value in tiny_state.items()}, tmp_path / "clip.safetensors")
    ours, theirs = load_clip(str(tmp_path / "clip.safetensors")), load_clip(saved(tiny_state, tmp_path / "clip.pt"))
    assert torch.equal(ours.encode_image(images(1, 64)), theirs.encode_image(images(1, 64)))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_openai_archive(openai_archive: Path, tiny_state: State, tmp_path: Path) -> None:
    ours, theirs = load_clip(str(openai_archive)), load_clip(saved(tiny_state, tmp_path / "clip.pt"))
    assert torch.equal(ours.encode_image(images(1, 64)), theirs.encode_image(images(1, 64)))
    tokens = tokenize(["a photo of a cat."])
    assert torch.equal(ours.encode_text(tokens), theirs.encode_text(tokens))


def test_the_bundled_model() -> None:
    backbone = load_clip("tiny")
    assert (backbone.input_resolution, backbone.feature_dim, backbone.grid) == (64, 64, (2, 2))
    assert backbone.logit_scale <= 100 * (1 + 1e-5)
    assert len(backbone.sha256) == 64


def test_the_model_is_frozen_and_in_evaluation_mode(tiny_state: State, tmp_path: Path) -> None:
    backbone = load_clip(saved(tiny_state, tmp_path / "clip.pt"))
    assert not backbone.model.training
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not backbone.encode_image(images(1, 64).requires_grad_()).requires_grad
    assert not backbone.encode_maps(images(1, 64).requires_grad_()).requires_grad


# -------------------------------------------------------------------------------------------------------- encoding


@pytest.mark.parametrize(
    ("resolution", "layers", "width"),
    [(32, (1, 1, 1, 1), 2), (64, (1, 2, 1, 1), 4), (96, (1, 1, 1, 2), 6), (224, (1, 1, 1, 1), 2)],
)
def test_maps_then_pooling_is_the_image_encoder(resolution: int, layers: Any, width: int, tiny_clip: Any) -> None:
    backbone = wrap(tiny_clip(resolution=resolution, layers=layers, width=width))
    side = resolution // 32
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    pool = backbone.model.visual.attnpool
    maps = backbone.encode_maps(images(3, resolution))
    assert backbone.grid == (side, side) and maps.shape == (3, 32 * width, side, side) and maps.dtype == torch.float32
    assert torch.equal(backbone.pool_maps(maps), backbone.encode_image(images(3, resolution)))
    both = backbone.encode_regions(images(3, resolution))
    assert torch.equal(both[0], maps) and torch.equal(both[1], backbone.encode_image(images(3, resolution)))
    assert backbone.model.visual.attnpool is pool is backbone.attention_pool
    assert all(torch.equal(value, before[key]) for key, value in backbone.model.state_dict().items())


@pytest.mark.parametrize("precision", ["fp32", "amp", "fp16"])
def test_layers_of_a_residual_tower(precision: str, tiny_clip: Any, tmp_path: Path) -> None:
    model = tiny_clip()
    randomise_statistics(model.visual)
    path = saved(model.state_dict(), tmp_path / "clip.pt")
    plain, folded = (load_clip(path, precision=precision, layers=layers) for layers in ("plain", "folded"))
    with torch.no_grad(), plain.precision.autocast("cpu"):
        assert torch.equal(
            plain.encode_image(images(2, 64)), plain.model.visual(images(2, 64).to(plain.model.dtype)).float()
        )
    tolerance = 1e-5 if precision == "fp32" else 0.05
    for found, expected in zip(folded.encode_regions(images(2, 64)), plain.encode_regions(images(2, 64)), strict=True):
        assert found.dtype == torch.float32 and found.shape == expected.shape and not torch.equal(found, expected)
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))
    ours, theirs = folded.model.state_dict(), plain.model.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert load_clip(path).layers == "folded" and folded.sha256 == plain.sha256


def test_unknown_layers() -> None:
    with pytest.raises(ValueError, match="unknown encoder layers 'fast'; choose from folded, plain"):
        load_clip("tiny", layers="fast")


def test_an_image_does_not_depend_on_its_batch(tiny_clip: Any) -> None:
    backbone = wrap(tiny_clip())
    batch = images(4, 64)
    torch.testing.assert_close(backbone.encode_image(batch)[2:3], backbone.encode_image(batch[2:3]))
    torch.testing.assert_close(backbone.encode_maps(batch)[2:3], backbone.encode_maps(batch[2:3]))


@pytest.mark.parametrize("precision", ["amp", "fp16"])
def test_low_precision_is_close_and_gives_float32(precision: str, tiny_state: State, tmp_path: Path) -> None:
    path = saved(tiny_state, tmp_path / "clip.pt")
    reference, backbone = load_clip(path), load_clip(path, precision=precision)
    tokens = tokenize(["a photo of a cat.", "art of the dog."])
    for name, argument in (("encode_image", images(2, 64)), ("encode_maps", images(2, 64)), ("encode_text", tokens)):
        expected, found = getattr(reference, name)(argument), getattr(backbone, name)(argument)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05 * float(expected.abs().max()))
    assert backbone.model.dtype == (torch.float16 if precision == "fp16" else torch.float32)
    maps = backbone.encode_maps(images(2, 64))
    torch.testing.assert_close(backbone.pool_maps(maps), backbone.encode_image(images(2, 64)), rtol=0.05, atol=0.02)
    both, alone = backbone.encode_regions(images(2, 64)), backbone.encode_image(images(2, 64))
    assert torch.equal(both[0], maps) and torch.equal(both[1], alone)  # one entry of the store serves all methods
    assert {features.dtype for features in both} == {torch.float32}


def test_unknown_precision(tiny_state: State, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown precision 'bf16'"):
        load_clip(saved(tiny_state, tmp_path / "clip.pt"), precision="bf16")


@pytest.mark.parametrize("shape", [(1, 3, 96, 96), (1, 3, 64, 96), (1, 3, 63, 64)])
def test_images_of_another_size(shape: tuple[int, ...], tiny_clip: Any) -> None:
    message = f"images of {shape[2]} x {shape[3]} pixels do not fit backbone 'test', whose input is 64 x 64"
    with pytest.raises(ValueError, match=re.escape(message)):
        wrap(tiny_clip()).encode_image(torch.zeros(shape))


@pytest.mark.parametrize("side", [32, 96])
def test_maps_of_another_grid(side: int, tiny_clip: Any) -> None:
    backbone = wrap(tiny_clip())
    maps, cells = backbone.encode_maps(images(1, side)), side // 32
    message = f"feature grid {cells} x {cells} does not match the positional embedding, which is for 2 x 2"
    for pool in (backbone.pool_maps, RegionAttention(backbone.attention_pool)):
        with pytest.raises(ValueError, match=re.escape(message)):
            pool(maps)
    with pytest.raises(ValueError, match=f"images of {side} x {side} pixels do not fit backbone 'test'"):
        backbone.encode_regions(images(1, side))


def test_grids_of_equal_area_differ() -> None:
    check_grid(torch.zeros(1, 8, 2, 3), (2, 3))
    with pytest.raises(ValueError, match=r"feature grid 1 x 4 does not match .* for 2 x 2"):
        check_grid(torch.zeros(1, 8, 1, 4), (2, 2))


def test_a_vision_transformer_encodes_but_has_no_pooling(tiny_clip: Any, tmp_path: Path) -> None:
    model = tiny_clip(layers=1, width=64, patch=16)
    backbone = load_clip(saved(model.state_dict(), tmp_path / "vit.pt"))
    assert backbone.encode_image(images(2, 64)).shape == (2, 16)
    message = "has no attention pooling; backbones with one are tiny, RN50, RN101, RN50x4, RN50x16, RN50x64"
    for use in (lambda: backbone.attention_pool, lambda: backbone.grid, lambda: backbone.encode_maps(images(1, 64))):
        with pytest.raises(ValueError, match=message):
            use()
    with pytest.raises(ValueError, match=message):
        backbone.encode_regions(images(1, 64))


# ------------------------------------------------------------------------------------------------------- bad names


def test_the_nine_official_names_and_the_bundled_one() -> None:
    assert available_backbones() == [
        *("tiny", "RN50", "RN101", "RN50x4", "RN50x16", "RN50x64", "ViT-B/32", "ViT-B/16", "ViT-L/14", "ViT-L/14@336px")
    ]


@pytest.mark.parametrize(("name", "hint"), [("RN51", "RN50"), ("ViT-B-16", "ViT-B/16"), ("Tiny", "tiny"), ("qqqq", "")])
def test_an_unknown_name_lists_what_exists(name: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        load_clip(name)
    message = str(caught.value)
    assert message.startswith(
        f"unknown backbone {name!r}{f' (did you mean {hint!r}?)' if hint else ''}: neither a file"
    )
    assert all(known in message for known in available_backbones())


def test_a_folder_is_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a file nor one of"):
        load_clip(str(tmp_path))


# ------------------------------------------------------------------------------------------------ official weights


def test_official_weights_with_a_wrong_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ROOT", str(tmp_path))
    (tmp_path / "ViT-B-32.pt").write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    expected = CLIP_FILES["ViT-B/32"].sha256
    with pytest.raises(ValueError, match=f"ViT-B-32.pt has sha256 {found}, expected {expected}; delete it to download"):
        load_clip("ViT-B/32")
    assert (tmp_path / "ViT-B-32.pt").read_bytes() == b"something else"


def test_official_weights_that_cannot_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ROOT", str(tmp_path / "new" / "folder"))
    monkeypatch.setattr(connection, "BACKOFF", 0.0)
    with pytest.raises(FileNotFoundError) as caught:
        load_clip("RN50")
    message = str(caught.value)
    assert message.startswith(f"CLIP weights of RN50 are absent: {tmp_path}/new/folder/RN50.pt could not be fetched: ")
    for part in (CLIP_FILES["RN50"].url, "its host name cannot be resolved", "by hand", "--weights", "in place of"):
        assert part in message
    assert "\n" not in message
    assert not (tmp_path / "new" / "folder" / "RN50.pt").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_official_weights_are_downloaded_once_and_checked(
    openai_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = openai_archive.read_bytes()
    monkeypatch.setenv("CLIP_ROOT", str(tmp_path))
    with faulty_server() as server:
        url = server.add("/RN50.pt", Served(content, drop_after=[1000]))
        entry = replace(CLIP_FILES["RN50"], url=url, sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(CLIP_FILES, "RN50", entry)
        monkeypatch.setattr(connection, "BACKOFF", 0.0)
        for _ in range(2):
            backbone = load_clip("RN50")
            assert backbone.name == "RN50" and backbone.grid == (2, 2)
        assert [request.offset for request in server.requests] == [None, 1000]
    assert (tmp_path / "RN50.pt").read_bytes() == content


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_weights_name_the_folder_or_the_file(
    openai_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = openai_archive.read_bytes()
    (tmp_path / "RN50.pt").write_bytes(content)
    entry = replace(CLIP_FILES["RN50"], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(CLIP_FILES, "RN50", entry)
    for weights in (tmp_path, str(tmp_path / "RN50.pt")):
        assert load_clip("RN50", weights=weights).sha256 == entry.sha256
    with pytest.raises(FileNotFoundError, match=r"does not hold RN101\.pt"):
        load_clip("RN101", weights=tmp_path)
    assert load_clip("tiny", weights=tmp_path).name == "tiny"  # needs no official file


def test_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLIP_ROOT")
    monkeypatch.setattr(connection, "BACKOFF", 0.0)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / ".cache" / "clip" / "RN50.pt"))):
        load_clip("RN50")


# --------------------------------------------------------------------------------------------------- damaged files


def test_pickles_with_code_are_refused_and_not_run(tiny_state: State, tmp_path: Path) -> None:
    class RunsCode:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "trap",)

    with pytest.raises(ValueError, match="holds more than tensors"):
        load_clip(saved({**tiny_state, "extra": RunsCode()}, tmp_path / "clip.pt"))
    assert not (tmp_path / "trap").exists()


def test_a_file_cut_short(tiny_state: State, tmp_path: Path) -> None:
    path = Path(saved(tiny_state, tmp_path / "clip.pt"))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=re.escape(f"CLIP weights {path} cannot be read: damaged")):
        load_clip(str(path))


def without(*parts: str) -> Callable[[State], Any]:
    return lambda state: {key: value for key, value in state.items() if not any(part in key for part in parts)}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda _: torch.zeros(3), "visual.conv1.weight"),
        (lambda _: [1, 2, 3], "visual.conv1.weight"),
        (lambda _: {}, "visual.conv1.weight"),
        (lambda _: {"state_dict": {}}, "visual.conv1.weight"),
        (without("token_embedding"), "token_embedding.weight"),
        (without("text_projection"), "text_projection"),
        (without("attnpool"), "visual.proj or visual.attnpool"),
        (without("layer1"), "visual.layer1.0.conv1.weight"),
        (without("logit_scale"), "logit_scale"),
        (lambda state: {**state, "spare.weight": torch.zeros(1)}, "spare.weight"),
        (lambda state: {**state, "text_projection": torch.zeros(64, 8)}, "size mismatch"),
        (
            lambda state: {**state, "visual.attnpool.positional_embedding": torch.zeros(6, 128)},
            "is not in OpenAI's CLIP",
        ),
    ],
)
def test_files_in_another_layout(change: Callable[[State], Any], named: str, tiny_state: State, tmp_path: Path) -> None:
    path = saved(change(tiny_state), tmp_path / "clip.pt")
    with pytest.raises(ValueError, match=re.escape(f"{path} is not in OpenAI's CLIP layout: ")) as caught:
        load_clip(path)
    assert named in str(caught.value) and "\n" not in str(caught.value)


def test_entries_that_cannot_be_measured(tiny_state: State, tmp_path: Path) -> None:
    changes = [
        {**tiny_state, "text_projection": 5},
        {**tiny_state, "ln_final.weight": None},
        {**tiny_state, "positional_embedding": torch.tensor(1.0)},
        {**tiny_state, "ln_final.weight": torch.zeros(32)},
        without("resblocks")(tiny_state),
    ]
    for state in changes:
        with pytest.raises(ValueError, match=r"clip\.pt is not in OpenAI's CLIP layout"):
            load_clip(saved(state, tmp_path / "clip.pt"))
