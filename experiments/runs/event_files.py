"""A finished run in TensorBoard: event files beside those that training wrote."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dassl.utils.distributed import is_main
from experiments.results.attention import ATTENTION_FILE, read_attention
from experiments.results.predictions import Predictions
from experiments.runs.final_images import final_images
from experiments.runs.final_scalars import final_scalars

EVENT_FOLDER = "tensorboard"
SUFFIX = ".final"


def write_event_files(
    result: Mapping[str, Any], predictions: Predictions | None, folder: Path, *, figures: bool
) -> None:
    """Write a finished run's numbers and figures in place of those of an earlier evaluation.

    Nothing here is worth losing a run for: what cannot be drawn or written is warned of.

    Args:
        result: What result.json holds.
        predictions: The predictions, or None if they were not kept; then there are no figures.
        folder: The run folder.
        figures: Whether to draw; that takes most of the time.
    """
    if not is_main():
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        warnings.warn(f"the result is not in TensorBoard, because it is missing ({error})", stacklevel=2)
        return
    try:
        for earlier in (folder / EVENT_FOLDER).glob(f"events.out.tfevents.*{SUFFIX}"):
            earlier.unlink(missing_ok=True)
        with SummaryWriter(str(folder / EVENT_FOLDER), filename_suffix=SUFFIX) as writer:  # type: ignore[no-untyped-call]
            _fill(writer, result, predictions, folder, figures=figures)
    except (OSError, ValueError) as error:
        warnings.warn(f"the result is not whole in TensorBoard: {' '.join(str(error).split())}", stacklevel=2)


def _fill(
    writer: Any, result: Mapping[str, Any], predictions: Predictions | None, folder: Path, *, figures: bool
) -> None:
    for scalar in final_scalars(result, predictions):
        writer.add_scalar(*scalar)
    if predictions is None or not figures:
        return
    has_maps = (folder / ATTENTION_FILE).is_file()
    attention = read_attention(folder, len(predictions.labels)) if has_maps else None
    for tag, pixels in final_images(result, predictions, attention):
        writer.add_image(tag, pixels, int(result["num_shots"]), dataformats="HWC")
