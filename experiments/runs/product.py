"""The model folder that a finished run leaves in its run folder, for predict.py and for other machines."""

import json
import shlex
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from amu_raft.features.encoders import Encoders
from amu_raft.features.extraction import encode_within_memory
from amu_raft.images.pixels import PixelRecipe
from amu_raft.methods import Method
from amu_raft.model.calibration import NOT_CALIBRATED, Calibration, calibration_of
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_folder import remove_model_folder, write_model_folder
from amu_raft.model.model_info import INFO_FILE, EncoderIdentity, ModelInfo
from amu_raft.strangers import import_flags
from dassl.utils import read_image
from datasets.classes import class_keys
from experiments.runs.config import RunPlan
from experiments.runs.settings import read_settings

_CHECKED = 8  # images on which the model folder must agree with the trainer
_TOLERANCE = 1e-3  # of the largest logit; half precision differs by less


def write_product(plan: RunPlan, trainer: Any, result: dict[str, Any]) -> bool:
    """Write the model folder, if the trainer is a method's, and say so if it is not.

    An earlier one in the run folder is removed in any case.

    Args:
        plan: The run.
        trainer: After training or evaluation.
        result: What result.json will hold.

    Returns:
        Whether it was written.

    Raises:
        OSError: If the run folder cannot be written.
    """
    remove_model_folder(plan.cfg.OUTPUT_DIR)
    name = plan.cfg.TRAINER.NAME
    if result["accuracy"] is None:  # the best epoch is loaded, and settings are chosen, only where a run is evaluated
        print(f"No {INFO_FILE} is written: nothing was evaluated; train.py --eval-only --model-dir writes one")
        return False
    method: Method | None = getattr(trainer, "method", None)
    if not isinstance(method, Method):
        print(f"No {INFO_FILE} is written, so predict.py cannot use this model: trainer {name} is no registered method")
        return False
    encoders: Encoders = trainer.encoders
    model = FewShotModel(encoders, _read_back(method))
    recipe = PixelRecipe(max(plan.cfg.INPUT.SIZE), plan.cfg.INPUT.INTERPOLATION)
    gap = largest_gap(trainer, model, recipe, split=result["split"])
    if not gap <= _TOLERANCE:  # a NaN is none
        print(
            f"No {INFO_FILE} is written, so predict.py cannot use this model: its scores would differ from those of "
            f"trainer {name} by {gap:.2g} of the largest; it transforms images or decides in a way of its own"
        )
        return False
    calibration = calibrate(trainer)
    about = {"calibration": calibration.record(), **_about(plan, method, result)}
    backbone, aux_encoder = encoders.backbone, encoders.aux_encoder
    info = ModelInfo(
        method=type(method).__name__,
        classnames=list(trainer.classnames),
        class_keys=class_keys(trainer.dm.dataset),
        prompts=trainer.prompts,
        backbone=EncoderIdentity(backbone.name, backbone.sha256),
        precision=backbone.precision.name,
        layers=backbone.layers,
        aux_encoder=EncoderIdentity(aux_encoder.name, aux_encoder.sha256) if aux_encoder else None,
        recipe=recipe,
        mean=tuple(encoders.statistics.mean.flatten().tolist()),
        std=tuple(encoders.statistics.std.flatten().tolist()),
        choices=method.kept_choices(),
        temperature=calibration.temperature,
        about=about,
    )
    write_model_folder(model, info, plan.cfg.OUTPUT_DIR)
    words = [*import_flags(plan.modules), "--model", plan.cfg.OUTPUT_DIR]
    print(f"Model is saved for use: python predict.py {shlex.join(words)} IMAGE")
    return True


def _read_back(method: Method) -> Method:
    """Return the method as it comes out of its model folder."""
    kept = json.loads(json.dumps(method.kept_choices()))
    return type(method).from_folder(method.task, method.state_dict(), kept).to(method.text_columns.device)


@torch.no_grad()
def largest_gap(trainer: Any, model: FewShotModel, recipe: PixelRecipe, *, split: str = "test") -> float:
    """Return how far a model's deciding logits are from the trainer's, over the largest, on a few evaluated images.

    A trainer may transform or encode images in another way, or decide otherwise than the one it is derived from. Its
    side comes from the features that it was evaluated on.

    Args:
        trainer: After its evaluation.
        model: The model to compare with it.
        recipe: The model's way from a picture to pixels.
        split: "val" or "test", the one evaluated.
    """
    trainer.set_model_mode("eval")
    images = getattr(trainer, f"{split}_loader").dataset
    features, _ = next(trainer.frozen.features_of(images, title=f"encode {split}").batches(_CHECKED))
    expected = trainer.decide(trainer.branch_logits(features))
    pixels = torch.stack([recipe.pixels(read_image(item.impath)) for item in images.data_source[:_CHECKED]])
    scores, _ = encode_within_memory(
        pixels.to(trainer.device), lambda part: {"adapted": model(part).adapted}, at_most=len(pixels)
    )
    found = scores["adapted"]
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1))


def calibrate(trainer: Any) -> Calibration:
    """Fit the temperature on validation images, and say what it changes there."""
    pair = trainer.validation_logits()
    if pair is None:
        print(f"Probabilities are not calibrated: {NOT_CALIBRATED.note}")
        return NOT_CALIBRATED
    found = calibration_of(*pair)
    print(found.line)
    return found


def _trained_on(model_dir: str) -> dict[str, Any]:
    """Return what an evaluated model was trained on, which is not told by the data that it was evaluated on."""
    settings = read_settings(Path(model_dir)) or {}
    subset = {name.lower(): settings.get(f"DATASET.{name}") for name in ("NUM_SHOTS", "SUBSAMPLE_CLASSES")}
    return {"dataset_name": settings.get("DATASET.NAME"), **subset, "seed": settings.get("SEED")}


def _about(plan: RunPlan, method: Method, result: dict[str, Any]) -> dict[str, Any]:
    data = ("dataset", "dataset_name", "config", "num_shots", "seed", "subsample_classes", "mode")
    metrics = ("split", "total", "correct", "accuracy", "macro_f1", "zero_shot_accuracy", "branches")
    return {
        **method.texts(),
        "data": {name: result[name] for name in data},
        **({"trained_on": _trained_on(plan.model_dir)} if plan.model_dir else {}),
        "protocol": result["protocol"],
        "metrics": {name: result.get(name) for name in metrics},
        "versions": result["versions"],
        "git_commit": result["git_commit"],
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
