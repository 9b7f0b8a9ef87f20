"""settings.json: what a run folder's model was trained with, so that it is never taken for another."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from datasets.json_file import read_json_file, write_json_file
from runs.config import as_dict, leaves

SETTINGS_FILE = "settings.json"
# May differ between a run and its resumption, or between a copy of the data and another.
_FREE_SETTINGS = frozenset(
    {
        "DATASET.ROOT",
        "DATALOADER.NUM_WORKERS",
        "OUTPUT_DIR",
        "RESUME",
        "TRAIN.CHECKPOINT_FREQ",
        "TRAIN.PRINT_FREQ",
        "USE_CUDA",
        "VERBOSE",
    }
)


_FINGERPRINTS = ("training images", "backbone sha256")


def settings_of(cfg: CfgNode, trainer: Any) -> dict[str, Any]:
    """Return the settings that decide a run's numbers, with fingerprints of its training images and backbone."""
    settings = {key: value for key, value in leaves(as_dict(cfg)) if key not in _FREE_SETTINGS}
    rows = [(Path(item.impath).name, item.label, item.classname) for item in trainer.dm.dataset.train_x]
    settings["training images"] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    settings["backbone sha256"] = getattr(getattr(trainer, "backbone", None), "sha256", None)
    plain: dict[str, Any] = json.loads(json.dumps(settings))  # tuples become lists, as they are read back
    return plain


def read_settings(folder: Path) -> dict[str, Any] | None:
    """Return a run folder's settings, None if it has none.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        return None
    settings = read_json_file(path, what="settings file")
    if not isinstance(settings, dict):
        raise ValueError(f"settings file {path} is damaged: it holds no settings; remove the run folder")
    return settings


def check_same(settings: dict[str, Any], folder: Path, remedy: str) -> None:
    """Refuse a run folder whose model was trained with other settings.

    Raises:
        ValueError: Naming the settings that differ, and the remedy.
    """
    earlier = read_settings(folder)
    if earlier is None:
        if any(folder.glob("*/checkpoint")):
            raise ValueError(f"{folder} holds a model but no {SETTINGS_FILE} that says how it was trained; {remedy}")
        return
    differing = [key for key in {**earlier, **settings} if earlier.get(key) != settings.get(key)]
    if differing:
        changes = "; ".join(_change(key, earlier.get(key), settings.get(key)) for key in differing[:3])
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise ValueError(f"{folder} holds a run with other settings ({changes}{more}); {remedy}")


def _change(key: str, there: Any, here: Any) -> str:
    return f"other {key}" if key in _FINGERPRINTS else f"{key} {there} there, {here} here"


def claim_folder(settings: dict[str, Any], folder: Path) -> None:
    """Check that a run folder is new or this run's own, and note the settings there.

    A folder whose run never saved a model is nobody's: a first try that failed does not block the second.

    Raises:
        ValueError: If it holds the model of another run.
    """
    if any(folder.glob("*/checkpoint")) or (folder / "result.json").is_file():
        check_same(settings, folder, "give another --output-dir, or remove the folder")
    write_json_file(settings, folder / SETTINGS_FILE)


def model_settings(folder: Path, trainer: str) -> list[tuple[str, Any]]:
    """Return the settings that an evaluation takes over from the folder of the model; none if they are not known.

    Raises:
        ValueError: If the folder holds another trainer's model.
    """
    settings = read_settings(folder) or {}
    if settings.get("TRAINER.NAME", trainer) != trainer:
        raise ValueError(f"{folder} holds a model of trainer {settings['TRAINER.NAME']}, not of {trainer}")
    prefixes = (f"TRAINER.{trainer.upper()}.", "MODEL.", "INPUT.")
    single = ("SEED", "DATASET.NUM_SHOTS")
    return [(key, value) for key, value in settings.items() if key.startswith(prefixes) or key in single]


def check_finite(cfg: CfgNode) -> None:
    """Refuse numbers that are not finite, wherever they stand.

    Raises:
        ValueError: Naming the key.
    """
    for key, value in leaves(as_dict(cfg)):
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise ValueError(f"configuration key {key} must be finite, got {value}")
