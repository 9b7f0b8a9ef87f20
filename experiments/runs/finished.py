"""The one answer to the question whether a planned run is finished."""

import json
import math
from pathlib import Path
from typing import Any

from experiments.runs.config import RunPlan
from experiments.runs.settings import RESULT_FILE, check_configured, configured_settings, read_settings, same_root

_REMEDY = "give another output folder, or remove that run's"


def is_finished(plan: RunPlan) -> bool:
    """Tell whether a run folder holds the finished result of this very run.

    A result that is cut short or damaged is none. With TEST.NO_TEST a trained model is the result. An evaluation is
    finished if it is younger than the result of the model that it is of.

    Raises:
        ValueError: If the folder holds a finished or half-finished run with other settings, which are named.
    """
    folder = Path(plan.cfg.OUTPUT_DIR)
    result = finished_result(folder)
    if result is None:
        if any(folder.glob("*/checkpoint")) and (settings := read_settings(folder)) is not None:
            check_configured(settings, plan.cfg, folder, _REMEDY)
        return False
    if not plan.model_dir or read_settings(Path(plan.model_dir)) is not None:  # else its settings are not known
        check_configured(settings_in(result), plan.cfg, folder, _REMEDY)
        if not same_root(result, plan.cfg.DATASET):
            root = result["cfg"]["DATASET"]["ROOT"]
            raise ValueError(f"{folder} holds a run on the images in {root}, not {plan.cfg.DATASET.ROOT}; {_REMEDY}")
    return not plan.model_dir or not _is_younger(Path(plan.model_dir), folder)


def finished_result(folder: Path) -> dict[str, Any] | None:
    """Return what result.json holds if it is whole and says that its run came to its end, else None."""
    try:
        result = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        ended = result["status"] == "finished" and math.isfinite(result["accuracy"])
        ended |= result["status"] == "trained" and bool(result["cfg"]["TEST"]["NO_TEST"])
        return result if ended else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def settings_in(result: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a result records."""
    return configured_settings(result["cfg"])


def _is_younger(model: Path, evaluation: Path) -> bool:
    """Tell whether a model came to its end after it was evaluated."""
    try:
        return (model / RESULT_FILE).stat().st_mtime_ns > (evaluation / RESULT_FILE).stat().st_mtime_ns
    except OSError:
        return False
