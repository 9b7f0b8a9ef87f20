"""What a run is a run of, from its folder, its log or its settings."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from experiments.results.coop_logs import backbone_in_log, named_in_log

EVALUATION_SETS = frozenset({"imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r"})  # nothing is trained on them
ZERO_SHOT_TRAINER = "ZeroshotCLIP"


class Label(NamedTuple):
    """What the seeds of one cell of a table have in common."""

    dataset: str
    subset: str  # classes: "all", "base" or "new"
    trainer: str
    config: str
    shots: int  # -1: not known
    backbone: str = ""  # "": not known
    trained_on: str = ""  # the data set that the model was trained on; "": the one it is evaluated on


def seed_in(name: str) -> int | None:
    """Return the seed that a folder is named by, None if it is not."""
    match = re.fullmatch(r"seed(\d+)", name)
    return int(match[1]) if match else None


def trained_on_of(folder: Path, trainer: str, dataset: str) -> str:
    """Name the data set that a model was trained on if it is evaluated on another, as the transfer scripts do."""
    transferred = dataset in EVALUATION_SETS or any(part.endswith("_xd") for part in folder.parts)
    return "imagenet" if transferred and trainer != ZERO_SHOT_TRAINER and dataset != "imagenet" else ""


def label_from_path(folder: Path, log: str) -> Label:
    """Name a run by its folder, in this project's or CoOp's layouts, else by the arguments that its log begins with."""
    parts = tuple(part for part in folder.parts if seed_in(part) is None)
    label = _from_layout(parts) or _from_arguments(parts, log)
    if label.subset == "all":
        label = label._replace(subset=named_in_log("SUBSAMPLE_CLASSES", log) or "all")
    trained_on = label.trained_on or trained_on_of(folder, label.trainer, label.dataset)
    return label._replace(backbone=_backbone(folder, log), trained_on=trained_on)


def _from_layout(parts: tuple[str, ...]) -> Label | None:
    """Read DATASET/TRAINER/CONFIG_KSHOTS/..., (train|test)_(base|new)/DATASET/shots_K/TRAINER/CONFIG, or CoCoOp's
    evaluation/TRAINER/CONFIG_KSHOTS/DATASET of models trained on ImageNet.
    """
    for position in range(len(parts) - 1, 1, -1):
        before, trainer, rest = parts[position - 2], parts[position - 1], parts[position + 1 :]
        if match := re.fullmatch(r"(.+)_(\d+)shots", parts[position]):
            if before == "evaluation" and rest:
                source = "" if rest[0] == "imagenet" else "imagenet"
                return Label(rest[0], "all", trainer, "/".join((match[1], *rest[1:])), int(match[2]), "", source)
            return Label(before, "all", trainer, "/".join((match[1], *rest)), int(match[2]))
        if rest and (match := re.fullmatch(r"shots_(\d+)", parts[position])):
            half = re.fullmatch(r"(?:train|test)_(base|new)", before)
            return Label(trainer, half[1] if half else "all", rest[0], "/".join(rest[1:]), int(match[1]))
    return None


def _from_arguments(parts: tuple[str, ...], log: str) -> Label:
    dataset, config = (Path(named_in_log(key, log)).stem for key in ("dataset_config_file", "config_file"))
    shots = whole(named_in_log("NUM_SHOTS", log))
    return Label(dataset or "/".join(parts[-2:]), "all", named_in_log("trainer", log) or "?", config or "?", shots)


def whole(text: str) -> int:
    """Return a number that a log names, -1 if it is none."""
    return int(text) if text.isdecimal() else -1


def _backbone(folder: Path, log: str) -> str:
    """Return the backbone that settings.json or else the log names."""
    try:
        return str(json.loads((folder / "settings.json").read_text(encoding="utf-8"))["MODEL.BACKBONE.NAME"])
    except (OSError, ValueError, TypeError, LookupError):
        return backbone_in_log(log)
