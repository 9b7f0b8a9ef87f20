"""The model folder that a finished run leaves in its run folder, for predict.py and for other machines."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.text_classifier import BACKGROUND_TEMPLATE
from amu_raft.features.extraction import encode_within_memory
from amu_raft.model.calibration import fit_temperature
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_folder import remove_model_folder, write_model_folder
from amu_raft.model.model_info import INFO_FILE, EncoderIdentity, ModelInfo
from amu_raft.model.pixels import PixelRecipe
from dassl.utils import read_image
from datasets.classes import class_keys
from experiments.results.calibration import reliability
from experiments.runs.config import RunPlan
from experiments.runs.settings import read_settings

_CHECKED = 8  # images on which the model folder must agree with the trainer
_TOLERANCE = 1e-3  # of the largest logit; half precision differs by less


def write_product(plan: RunPlan, trainer: Any, result: dict[str, Any]) -> bool:
    """Write the model folder, if the trainer's model can be used without the toolbox, and say so if it cannot.

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
    head = trainer.inference_head() if hasattr(trainer, "inference_head") else None
    if head is None:
        print(f"No {INFO_FILE} is written, so predict.py cannot use this model: trainer {name} has no inference_head")
        return False
    if own := changed_without_head(type(trainer)):
        print(f"No {INFO_FILE} is written: trainer {name} has {own} of its own, and no inference_head that says so")
        return False
    model = FewShotModel(
        trainer.backbone,
        head,
        aux_encoder=getattr(trainer, "aux_encoder", None),
        pixel_statistics=trainer.pixel_statistics,
    )
    recipe = PixelRecipe(max(plan.cfg.INPUT.SIZE), plan.cfg.INPUT.INTERPOLATION)
    gap = largest_gap(trainer, model, recipe, split=result["split"])
    if not gap <= _TOLERANCE:  # a NaN is none
        print(
            f"No {INFO_FILE} is written, so predict.py cannot use this model: its scores would differ from those of "
            f"trainer {name} by {gap:.2g} of the largest; it transforms images or decides in a way of its own"
        )
        return False
    calibration = calibrate(trainer)
    about = {"calibration": calibration, **_about(plan, head.method, result)}
    info = ModelInfo(
        method=head.method,
        classnames=list(trainer.classnames),
        class_keys=class_keys(trainer.dm.dataset),
        prompts=trainer.prompts,
        backbone=EncoderIdentity(trainer.backbone.name, trainer.backbone.sha256),
        precision=trainer.backbone.precision.name,
        layers=trainer.backbone.layers,
        aux_encoder=EncoderIdentity(model.aux_encoder.name, model.aux_encoder.sha256) if model.aux_encoder else None,
        recipe=recipe,
        mean=tuple(trainer.pixel_statistics.mean.flatten().tolist()),
        std=tuple(trainer.pixel_statistics.std.flatten().tolist()),
        choices=head.choices(),
        temperature=calibration["temperature"],
        about=about,
    )
    write_model_folder(model, info, plan.cfg.OUTPUT_DIR)
    print(f"Model is saved for use: python predict.py --model {plan.cfg.OUTPUT_DIR} IMAGE")
    return True


def changed_without_head(kind: type) -> str:
    """Name the first method by which a derived trainer encodes or decides otherwise than its inherited head; or ""."""
    for base in kind.__mro__:
        for name in ("encode", "branch_logits", "decide"):
            if name in vars(base) and "inference_head" not in vars(base):
                return name
        if "inference_head" in vars(base):
            break
    return ""


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
    features, _ = next(trainer.encoders.features_of(images, title=f"encode {split}").batches(_CHECKED))
    expected = trainer.decide(trainer.branch_logits(features))
    pixels = torch.stack([recipe.pixels(read_image(item.impath)) for item in images.data_source[:_CHECKED]])
    scores, _ = encode_within_memory(
        pixels.to(trainer.device), lambda part: {"adapted": model(part).adapted}, at_most=len(pixels)
    )
    found = scores["adapted"]
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1))


def calibrate(trainer: Any) -> dict[str, Any]:
    """Fit the temperature on validation images and record what it changes there."""
    pair = trainer.validation_logits()
    if pair is None:
        note = "no validation images of its own: the temperature stays at 1"
        print(f"Probabilities are not calibrated: {note}")
        return {"temperature": 1.0, "fitted_on": None, "images": 0, "note": note}
    logits, labels = (tensor.float().cpu() if tensor.is_floating_point() else tensor.cpu() for tensor in pair)
    temperature, note = fit_temperature(logits, labels)
    before, after = expected_error(logits, labels), expected_error(logits / temperature, labels)
    print(
        f"temperature {temperature:.3f} fitted on {len(labels)} validation images: "
        f"calibration error {100 * before:.1f}% before, {100 * after:.1f}% after{f' ({note})' if note else ''}"
    )
    return {
        "temperature": temperature,
        "fitted_on": "validation",
        "images": len(labels),
        "ece_before": before,
        "ece_after": after,
        "note": note,
    }


def expected_error(logits: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error of softmax probabilities of logits (N, C), in [0, 1]."""
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    return reliability(confidence.numpy(), (predicted == labels).numpy()).ece


def _trained_on(model_dir: str) -> dict[str, Any]:
    """Return what an evaluated model was trained on, which is not told by the data that it was evaluated on."""
    settings = read_settings(Path(model_dir)) or {}
    subset = {name.lower(): settings.get(f"DATASET.{name}") for name in ("NUM_SHOTS", "SUBSAMPLE_CLASSES")}
    return {"dataset_name": settings.get("DATASET.NAME"), **subset, "seed": settings.get("SEED")}


def _about(plan: RunPlan, method: str, result: dict[str, Any]) -> dict[str, Any]:
    data = ("dataset", "dataset_name", "config", "num_shots", "seed", "subsample_classes", "mode")
    metrics = ("split", "total", "correct", "accuracy", "macro_f1", "zero_shot_accuracy", "branches")
    return {
        **({"background_template": BACKGROUND_TEMPLATE} if method == "RAFT" else {}),
        "data": {name: result[name] for name in data},
        **({"trained_on": _trained_on(plan.model_dir)} if plan.model_dir else {}),
        "protocol": result["protocol"],
        "metrics": {name: result.get(name) for name in metrics},
        "versions": result["versions"],
        "git_commit": result["git_commit"],
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
