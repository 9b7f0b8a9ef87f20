"""The model folder that a finished run leaves in its run folder, for predict.py and for other machines."""

from datetime import datetime, timezone
from typing import Any

import torch
from torch import Tensor

from dassl.utils import read_image
from modeling.calibration import fit_temperature
from modeling.few_shot_model import FewShotModel
from modeling.model_folder import write_model_folder
from modeling.model_info import INFO_FILE, EncoderIdentity, ModelInfo
from modeling.pixels import PixelRecipe
from modeling.text_classifier import BACKGROUND_TEMPLATE
from results.calibration import reliability
from runs.config import RunPlan
from trainers.classes import class_keys

_CHECKED = 8  # images on which the model folder must agree with the trainer
_TOLERANCE = 1e-3  # of the largest logit; half precision differs by less


def write_product(plan: RunPlan, trainer: Any, result: dict[str, Any]) -> bool:
    """Write the model folder, if the trainer's model can be used without the toolbox, and say so if it cannot.

    Args:
        plan: The run.
        trainer: After training or evaluation.
        result: What result.json holds.

    Returns:
        Whether it was written.

    Raises:
        OSError: If the run folder cannot be written.
    """
    name = plan.cfg.TRAINER.NAME
    head = trainer.inference_head() if hasattr(trainer, "inference_head") else None
    if head is None:
        print(f"No {INFO_FILE} is written, so predict.py cannot use this model: trainer {name} has no inference_head")
        return False
    model = FewShotModel(
        trainer.backbone,
        head,
        aux_encoder=getattr(trainer, "aux_encoder", None),
        pixel_statistics=trainer.pixel_statistics,
    )
    recipe = PixelRecipe(max(plan.cfg.INPUT.SIZE), plan.cfg.INPUT.INTERPOLATION)
    gap = largest_gap(trainer, model, recipe)
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


@torch.no_grad()
def largest_gap(trainer: Any, model: FewShotModel, recipe: PixelRecipe) -> float:
    """Return how far a model's deciding logits are from the trainer's, over the largest, on a few test images.

    A trainer may have another test transform, or decide otherwise than the one it is derived from.
    """
    trainer.set_model_mode("eval")
    images = trainer.test_loader.dataset
    rows = range(min(_CHECKED, len(images)))
    expected = trainer.model_inference(torch.stack([images[row]["img"] for row in rows]).to(trainer.device))
    pixels = [recipe.pixels(read_image(images.data_source[row].impath)) for row in rows]
    found = model(torch.stack(pixels).to(trainer.device)).adapted
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


def _about(plan: RunPlan, method: str, result: dict[str, Any]) -> dict[str, Any]:
    data = ("dataset", "dataset_name", "config", "num_shots", "seed", "subsample_classes", "mode")
    metrics = ("split", "total", "correct", "accuracy", "macro_f1", "zero_shot_accuracy", "branches")
    return {
        **({"background_template": BACKGROUND_TEMPLATE} if method == "RAFT" else {}),
        "data": {name: result[name] for name in data},
        "protocol": result["protocol"],
        "metrics": {name: result.get(name) for name in metrics},
        "versions": result["versions"],
        "git_commit": result["git_commit"],
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
