"""A trained model as a folder that can be taken elsewhere: model-info.json and model.safetensors.

It holds what a method has trained and the text columns. The frozen encoders, which are large and public, are named with
their checksums and looked for as in training.
"""

import json
import os
from collections.abc import Collection
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from amu_raft.backbones.aux_encoder import AuxEncoder, load_aux_encoder
from amu_raft.backbones.clip_backbone import BUNDLED_MODELS, CLIPBackbone, load_clip
from amu_raft.backbones.official_weights import AUX_FILES, CLIP_FILES, WEIGHTS_VARIABLE
from amu_raft.backbones.state_files import load_state_file, sha256_of
from amu_raft.features.encoders import Encoders
from amu_raft.methods import Method, Task, get_method, method_names
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_info import INFO_FILE, EncoderIdentity, ModelInfo, read_info
from amu_raft.whole_file import write_whole

WEIGHTS_FILE = "model.safetensors"


class LoadedModel(NamedTuple):
    """A model that is ready, and what it is."""

    model: FewShotModel
    info: ModelInfo


def write_model_folder(model: FewShotModel, info: ModelInfo, folder: Path | str) -> None:
    """Write a model; each file appears whole or not at all, and neither is taken for the other's of another run.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder = Path(folder)
    method = model.method
    learned = {"text_columns": method.text_columns, **method.state_dict()}
    # Copies: the format does not take two tensors of one memory.
    state = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in learned.items()}
    write_whole(folder / WEIGHTS_FILE, lambda stream: stream.write(save(state)))
    content = info.content(sha256_of(folder / WEIGHTS_FILE))
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / INFO_FILE, lambda stream: stream.write(text.encode("utf-8", "backslashreplace")))


def remove_model_folder(folder: Path | str) -> None:
    """Remove a model from its folder; other files stay."""
    for name in (INFO_FILE, WEIGHTS_FILE):
        (Path(folder) / name).unlink(missing_ok=True)


def load_model_folder(
    folder: Path | str, *, weights: Path | str | None = None, device: torch.device | str = "cpu"
) -> LoadedModel:
    """Load a model.

    Args:
        folder: A run folder of a finished training, or a copy of it.
        weights: Folder that holds the official weight files or this model's own, or one such file; if not given they
            are looked for as in training.
        device: Where the model goes.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one is damaged, does not fit the others, or an encoder is not the one of the training.
    """
    folder = Path(folder)
    info, sha256 = read_info(folder)
    path = folder / WEIGHTS_FILE
    tensors = load_state_file(path, what="model weights")
    if (found := sha256_of(path)) != sha256:
        raise ValueError(f"{path} has sha256 {found}, but {INFO_FILE} beside it says {sha256}; restore both files")
    _check_tensors(tensors, info, path)
    kind = _method_of(info, folder)
    backbone = _load_backbone(info, weights, device)
    aux_encoder = _load_aux_encoder(info, weights)
    try:
        encoders = Encoders(
            backbone,
            kind.reads,
            aux_encoder=None if aux_encoder is None else aux_encoder.to(device),
            readers=kind.readers,
            statistics=info.statistics,
        )
        _check_fit(tensors["text_columns"], encoders, info)
        task = Task(
            tensors.pop("text_columns"),
            backbone.logit_scale,
            encoders.widths,
            backbone.precision,
            attention_pool=partial(getattr, backbone, "attention_pool"),
        )
        method = kind.from_folder(task, tensors, info.choices)
    except (ValueError, TypeError, RuntimeError, KeyError, IndexError) as error:
        raise ValueError(f"{folder}: {' '.join(str(error).split())}") from error
    return LoadedModel(FewShotModel(encoders, method, temperature=info.temperature).to(device), info)


def _method_of(info: ModelInfo, folder: Path) -> type[Method]:
    """Return the method that a model names; nothing is imported to find it.

    Raises:
        ValueError: If it is not registered.
    """
    if info.method not in method_names():
        raise ValueError(
            f"{folder} holds a model of method {info.method!r}, which is not registered here; name the module that "
            f"registers it by --import MODULE (registered are {', '.join(method_names())})"
        )
    return get_method(info.method)


def public_name(encoder: EncoderIdentity) -> str:
    """Return what an encoder may be called elsewhere: a known name, or the name of its file without folders."""
    known = {*BUNDLED_MODELS, *CLIP_FILES, *AUX_FILES}
    return encoder.name if encoder.name in known else PureWindowsPath(encoder.name).name


def _check_tensors(tensors: dict[str, Tensor], info: ModelInfo, path: Path) -> None:
    for name, tensor in tensors.items():
        if tensor.is_complex() or (tensor.is_floating_point() and not torch.isfinite(tensor).all()):
            raise ValueError(f"{path}: {name} has values that are no finite numbers")
    columns = tensors.get("text_columns")
    if columns is None or columns.dim() != 2 or columns.shape[1] != len(info.classnames):
        shape = "missing" if columns is None else f"of shape {tuple(columns.shape)}"
        raise ValueError(f"{path}: text_columns are {shape}; (D, {len(info.classnames)}) is wanted")
    accepted = (torch.float32, torch.float16) if info.precision == "fp16" else (torch.float32,)
    if columns.dtype not in accepted:
        raise ValueError(f"{path}: text_columns are of type {columns.dtype}; {accepted[-1]} is wanted")


def _check_fit(columns: Tensor, encoders: Encoders, info: ModelInfo) -> None:
    """Refuse what would only fail at the first image."""
    backbone = encoders.backbone
    if columns.shape[0] != backbone.feature_dim:
        raise ValueError(
            f"text columns have width {columns.shape[0]}, features of {backbone.name} {backbone.feature_dim}"
        )
    if info.recipe.size != backbone.input_resolution:
        raise ValueError(
            f"pictures are made {info.recipe.size} pixels wide, "
            f"but the input of {backbone.name} is {backbone.input_resolution}"
        )


def _load_backbone(info: ModelInfo, weights: Path | str | None, device: torch.device | str) -> CLIPBackbone:
    name, programs = _as_named(info.backbone, {*BUNDLED_MODELS, *CLIP_FILES}, weights, "backbone")
    try:
        backbone = load_clip(
            name, precision=info.precision, device=device, weights=weights, layers=info.layers, programs=programs
        )
    except ValueError as error:
        hint = "" if programs else "; a TorchScript archive that you trust can be given by --weights"
        raise ValueError(f"{error}{hint}") from error
    _check_identity("backbone", info.backbone, backbone.sha256)
    # Only pictures are encoded here, and the tower for texts is half of a small CLIP.
    for part in ("transformer", "token_embedding"):
        setattr(backbone.model, part, torch.nn.Identity())
    return backbone


def _load_aux_encoder(info: ModelInfo, weights: Path | str | None) -> AuxEncoder | None:
    if info.aux_encoder is None:
        return None
    name, _ = _as_named(info.aux_encoder, {"tiny", *AUX_FILES}, weights, "aux encoder")
    encoder = load_aux_encoder(name, weights=weights, layers=info.layers)
    _check_identity("aux encoder", info.aux_encoder, encoder.sha256)
    return encoder


def _as_named(
    wanted: EncoderIdentity, known: Collection[str], weights: Path | str | None, what: str
) -> tuple[str, bool]:
    """Return a known name as it is, and of a path the first place that has the file; and whether it may be a program.

    A TorchScript archive can run code when it is read. So it may only be one where its checksum is published, or where
    the user names the place: never because a model folder, which may be anyone's, names it.

    Raises:
        FileNotFoundError: If none has.
        ValueError: If the file is not the one of the training.
    """
    if wanted.name in known:
        return wanted.name, True
    try:
        file, given = Path(wanted.name).expanduser(), []
        for place in (weights, os.environ.get(WEIGHTS_VARIABLE)):
            given += [Path(place).expanduser(), Path(place).expanduser() / file.name] if place else []
        found = next((path for path in (*given, file) if path.is_file()), None)
    except (OSError, RuntimeError) as error:  # a name that no file can have
        raise ValueError(f"the model's {what} cannot be called {wanted.name[:40]!r}: {error.args[-1]}") from error
    if found is None:
        raise FileNotFoundError(
            f"the model's {what} {wanted.name} is not here; give the file, or the folder that holds it, by --weights"
        )
    sha256 = sha256_of(found)
    _check_identity(what, wanted, sha256)
    return str(found), found in given or sha256 in {entry.sha256 for entry in CLIP_FILES.values()}


def _check_identity(what: str, wanted: EncoderIdentity, found: str) -> None:
    if found != wanted.sha256:
        raise ValueError(
            f"the model was trained with {what} {wanted.name} of sha256 {wanted.sha256}, "
            f"but the one found here has {found}; its scores would mean nothing"
        )
