"""A trained model as one ONNX file: pixels in, calibrated probabilities and logits out, encoders included."""

import json
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_folder import LoadedModel, public_name

INPUT, OUTPUTS = "pixels", ("probabilities", "logits")
TOLERANCE = 1e-4  # of a probability, and of a logit relative to the largest one
SLACK = 4  # times what torch itself differs by where it takes the same images one by one
OPSETS = (18, 23)  # what torch writes without a converter, and the highest that onnxruntime was seen to run here
_FOOTPRINT = 2  # images that the graph is traced with; 0 and 1 would be taken for fixed sizes


class _Traced(nn.Module):
    """The model as a function of one tensor, without branches that depend on tensors."""

    def __init__(self, model: FewShotModel) -> None:
        super().__init__()
        self.model = model
        encoders = model.encoders
        self.visual = encoders.backbone.model.visual
        # Folded layers are made now: a copy of a tensor cannot be traced.
        self.trunk = encoders.backbone._trunk if hasattr(self.visual, "attnpool") else None
        self.aux_encoder = encoders.aux_encoder
        self.arranged = encoders.aux_encoder._arranged if encoders.aux_encoder is not None else None

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model.logits(pixels)
        return (logits / self.model.temperature).softmax(dim=-1), logits


def export_onnx(loaded: LoadedModel, path: Path | str, pixels: Tensor, *, opset: int = OPSETS[0]) -> dict[str, float]:
    """Write a model as ONNX, after onnxruntime has given the same numbers as torch.

    The file appears whole and checked, or not at all.

    Args:
        loaded: A model on the CPU.
        path: The ONNX file.
        pixels: Real images for the check, (N, 3, size, size) in [0, 1], N >= 3.
        opset: Version of ONNX's operators.

    Returns:
        The largest difference for each output; at most ``accepted_differences``.

    Raises:
        ValueError: If the model computes in half precision, the images or the opset do not fit, or the outputs differ.
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        OSError: If the file cannot be written.
    """
    _check(loaded, pixels, opset)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        _write(loaded, draft, pixels[:_FOOTPRINT], opset)
        differences, accepted = compare(loaded.model, draft, pixels), accepted_differences(loaded.model, pixels)
        for name, difference in differences.items():
            if not difference <= accepted[name]:  # a NaN is none
                raise ValueError(
                    f"{path} is not written: {name} of onnxruntime and torch differ by {difference:.2g} "
                    f"on {len(pixels)} images, accepted is {accepted[name]:.2g}"
                )
        draft.replace(path)
    return differences


def _check(loaded: LoadedModel, pixels: Tensor, opset: int) -> None:
    size = loaded.info.recipe.size
    if loaded.info.precision == "fp16":
        raise ValueError("a model whose backbone computes in fp16 is not exported; train it with PREC fp32 or amp")
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise ValueError(f"opset {opset} is not written; accepted are {OPSETS[0]} to {OPSETS[1]}")
    if pixels.dim() != 4 or tuple(pixels.shape[1:]) != (3, size, size) or len(pixels) < 3:
        raise ValueError(f"the check wants 3 or more images (N, 3, {size}, {size}), got {tuple(pixels.shape)}")


def _write(loaded: LoadedModel, path: Path, pixels: Tensor, opset: int) -> None:
    import onnx

    with _quiet(), torch.no_grad(), _as_export_error():
        program: Any = torch.onnx.export(
            _Traced(loaded.model).eval(),
            (pixels,),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    graph = program.model_proto
    onnx.helper.set_model_props(graph, metadata_of(loaded))
    for node in graph.graph.node:
        del node.metadata_props[:]  # the tracer's notes: source lines with paths of this machine
        node.doc_string = ""
    with _as_value_error("the exported model is no sound ONNX"):
        onnx.checker.check_model(graph)
    onnx.save_model(graph, str(path))


def metadata_of(loaded: LoadedModel) -> dict[str, str]:
    """Return what the file says about itself (metadata_props): classes and how a picture becomes its input."""
    info = loaded.info
    size = info.recipe.size
    encoder = info.aux_encoder
    aux = {"aux_encoder": public_name(encoder), "aux_encoder_sha256": encoder.sha256} if encoder else {}
    preprocessing = {
        "colour": "RGB, upright, transparency on white",
        "resize": f"smaller edge to {size} pixels, longer edge floor({size} * longer / smaller)",
        "interpolation": f"Pillow {info.recipe.interpolation}, antialiased",
        "crop": f"central {size} x {size}",
        "scale": "uint8 / 255, float32 in [0, 1]; no mean or standard deviation, the graph holds them",
        "layout": f"(batch, 3, {size}, {size})",
    }
    return {
        "method": info.method,
        "classnames": json.dumps(info.classnames, ensure_ascii=False),
        "class_keys": json.dumps(info.class_keys, ensure_ascii=False),
        "preprocessing": json.dumps(preprocessing),
        "outputs": json.dumps(
            {"probabilities": "calibrated, (batch, classes)", "logits": "before temperature and softmax"}
        ),
        "temperature": repr(info.temperature),
        "backbone": public_name(info.backbone),
        "backbone_sha256": info.backbone.sha256,
        **aux,
    }


def compare(model: FewShotModel, path: Path | str, pixels: Tensor) -> dict[str, float]:
    """Run a file by onnxruntime and a model by torch on the same images, one by one and together.

    Returns:
        For each output the largest difference; that of logits over the largest logit, or over 1 if that is smaller.

    Raises:
        ValueError: If onnxruntime does not run the file.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with _as_value_error("onnxruntime cannot read the exported model"):
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(OUTPUTS, 0.0)
    for part in (pixels, pixels[:1], pixels[1:]):
        expected = _outputs(model, part)
        with _as_value_error(f"onnxruntime cannot run the exported model on {len(part)} images"):
            found: Sequence[Any] = session.run(list(OUTPUTS), {INPUT: part.numpy()})
        for name, ours, theirs in zip(OUTPUTS, expected, found, strict=True):
            gap = _gap(ours, theirs) if theirs.shape == ours.shape else float("inf")
            largest[name] = max(largest[name], gap) if gap == gap else gap
    return largest


def accepted_differences(model: FewShotModel, pixels: Tensor) -> dict[str, float]:
    """Return how far each output of a file may be from torch's.

    It is ``TOLERANCE``, unless float32 leaves more open: a method that multiplies CLIP's vectors by large numbers
    multiplies their rounding too, and torch then differs from itself where it takes the same images one by one.
    """
    one_by_one = zip(*(_outputs(model, part) for part in pixels.split(1)), strict=True)
    pairs = zip(OUTPUTS, _outputs(model, pixels), one_by_one, strict=True)
    return {name: max(TOLERANCE, SLACK * _gap(whole, torch.cat(parts).numpy())) for name, whole, parts in pairs}


def _outputs(model: FewShotModel, pixels: Tensor) -> tuple[Tensor, Tensor]:
    scores = model(pixels)
    return model.probabilities(scores), scores.adapted


def _gap(ours: Tensor, theirs: Any) -> float:
    scale = max(1.0, float(ours.abs().max()))
    return float(np.abs(ours.numpy() - theirs).max()) / scale


@contextmanager
def _as_value_error(what: str) -> Iterator[None]:
    """Turn the errors of onnx and onnxruntime, which have no common kind, into one."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{what}: {' '.join(str(error).split())}") from error


@contextmanager
def _as_export_error() -> Iterator[None]:
    """Turn the exporter's pages about itself into its first cause."""
    try:
        yield
    except Exception as error:
        first: BaseException = error
        while first.__cause__ is not None:
            first = first.__cause__
        reason = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(first)).split())[:300]
        raise ValueError(f"the model cannot be written as ONNX: {type(first).__name__}: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about its own inside off the console; errors are raised."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
