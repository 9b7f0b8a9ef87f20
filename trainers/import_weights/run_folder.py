"""The run folder of an imported model: what a run of our own would have left, as far as it is known."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor
from yacs.config import CfgNode

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import check_attention_pooling, check_backbone, load_clip
from amu_raft.json_file import write_json_file
from amu_raft.methods.raft.region_attention import RegionAttention
from amu_raft.methods.released_weights import read_adapter, read_attention_pool
from dassl.utils import save_checkpoint
from datasets.classes import CLASSES_FILE
from experiments.runs.settings import NOT_STATED, RESULT_FILE, SETTINGS_FILE, configured_settings
from trainers.import_weights.row_classes import RowClasses, find_row_classes


@dataclass(frozen=True)
class ReleasedModel:
    """A published model in our own form.

    Attributes:
        name: What its trainer registers it as; its folder.
        state: Its state dict.
        fingerprints: Checksums of the frozen encoders that it was fitted to here.
        classes: What its rows stand for; None if it has none, or if it is not known.
    """

    name: str
    state: dict[str, Tensor]
    fingerprints: dict[str, str] = field(default_factory=dict)
    classes: RowClasses | None = None


def write_run_folder(
    file: str, cfg: CfgNode, *, classnames_file: str | None = None, selection_stated: bool = False
) -> None:
    """Write a published model as a run folder that ``train.py --eval-only --model-dir`` accepts.

    Everything is read and checked first. The model comes last: without it the folder is nobody's.

    Args:
        file: The published file.
        cfg: Configuration of the run that it is said to come from.
        classnames_file: Classes of an adapter's rows; None asks the data set.
        selection_stated: Whether TEST.FINAL_MODEL says how the model was chosen; the file itself never does, and it
            may have been on test images.

    Raises:
        FileExistsError: If the folder holds a model.
        FileNotFoundError: If the file, the file of class names or the weights of a frozen encoder are missing.
        ValueError: If the trainer has nothing to import, or the file does not fit its model.
    """
    folder = Path(cfg.OUTPUT_DIR)
    _check_request(cfg, folder, classnames_file)
    model = _read_adapter(file, cfg, classnames_file) if cfg.TRAINER.NAME == "AMU" else _read_pooling(file, cfg)
    # The images that it was trained on are not known, so that no training can be resumed from it by mistake.
    settings = {**configured_settings(cfg), **model.fingerprints}
    # For the same reason nothing is chosen for it on any.
    settings |= {"TRAINER.AMU.TUNE": "off"} if cfg.TRAINER.NAME == "AMU" else {"TRAINER.RAFT.ALPHA_RULE": "fixed"}
    if not selection_stated:
        settings["TEST.FINAL_MODEL"] = NOT_STATED
    write_json_file(settings, folder / SETTINGS_FILE)
    (folder / CLASSES_FILE).unlink(missing_ok=True)
    if model.classes is not None:
        classes = {"class_keys": model.classes.keys, "classnames": model.classes.names}
        write_json_file(classes, folder / CLASSES_FILE)
    checkpoint: dict[str, Any] = {"state_dict": model.state, "epoch": cfg.OPTIM.MAX_EPOCH}
    save_checkpoint({**checkpoint, "optimizer": None, "scheduler": None, "val_result": None}, str(folder / model.name))


def _check_request(cfg: CfgNode, folder: Path, classnames_file: str | None) -> None:
    """Refuse what can be refused before anything is read."""
    if cfg.TRAINER.NAME not in ("AMU", "RAFT"):
        raise ValueError(f"trainer {cfg.TRAINER.NAME} has no published form; --trainer takes one of AMU, RAFT")
    if classnames_file and cfg.TRAINER.NAME != "AMU":
        raise ValueError("--classnames goes with --trainer AMU: an attention pooling has no rows for classes")
    if cfg.OPTIM.MAX_EPOCH < 1:
        raise ValueError(f"OPTIM.MAX_EPOCH must be at least 1, got {cfg.OPTIM.MAX_EPOCH}")
    check_backbone(cfg.MODEL.BACKBONE.NAME)
    for pattern in ("*/model*.pth.tar*", "*/checkpoint", RESULT_FILE):
        if found := next(folder.glob(pattern), None):
            raise FileExistsError(
                f"{folder} holds a run already ({found.relative_to(folder)}); give another --output-dir"
            )


def _read_adapter(file: str, cfg: CfgNode, classnames_file: str | None) -> ReleasedModel:
    encoder = load_aux_encoder(cfg.TRAINER.AMU.AUX_ENCODER, weights=cfg.MODEL.WEIGHTS or None)
    weight, note = read_adapter(file, encoder.feature_dim)
    print(f"adapter of {len(weight)} classes on {encoder.feature_dim} features{f'; {note}' if note else ''}")
    classes = find_row_classes(len(weight), cfg, classnames_file)
    return ReleasedModel("adapter", {"fc.weight": weight}, {"aux encoder sha256": encoder.sha256}, classes)


def _read_pooling(file: str, cfg: CfgNode) -> ReleasedModel:
    check_attention_pooling(cfg.MODEL.BACKBONE.NAME)
    backbone = load_clip(cfg.MODEL.BACKBONE.NAME, weights=cfg.MODEL.WEIGHTS or None)
    fresh = RegionAttention(backbone.attention_pool).state_dict()
    state = read_attention_pool(file, {name: tuple(value.shape) for name, value in fresh.items()})
    print(f"attention pooling of backbone {backbone.name}")
    return ReleasedModel("attnpool", state, {"backbone sha256": backbone.sha256})
