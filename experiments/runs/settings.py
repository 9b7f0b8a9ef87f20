"""settings.json: what a run folder's model was trained with, so that it is never taken for another."""

import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from amu_raft.json_file import read_json_file, write_json_file
from dassl.engine import TRAINER_REGISTRY
from experiments.runs.tree import as_dict, leaves

SETTINGS_FILE = "settings.json"
RESULT_FILE = "result.json"
NOT_STATED = "not stated"  # stands for TEST.FINAL_MODEL where nobody says how a model was chosen
# May differ between a run and its resumption, or between a machine with its files and another. What the files hold is
# fingerprinted instead.
_FREE_SETTINGS = frozenset(
    {
        "DATASET.ROOT",
        "DATALOADER.NUM_WORKERS",
        "FEATURES.LIMIT",
        "FEATURES.STORE",
        "FEATURES.STRICT",
        "MODEL.WEIGHTS",
        "OUTPUT_DIR",
        "RESUME",
        "TEST.FIGURES",
        "TEST.KEEP_PREDICTIONS",
        "TRAIN.CHECKPOINT_FREQ",
        "TRAIN.PRINT_FREQ",
        "USE_CUDA",
        "VERBOSE",
    }
)


_FINGERPRINTS = ("training images", "backbone sha256", "aux encoder sha256")
_DATA_IN_ROOT = ("ImageFolder",)  # data sets that are told apart by DATASET.ROOT alone


def settings_of(cfg: CfgNode, trainer: Any) -> dict[str, Any]:
    """Return the settings that decide a run's numbers, with fingerprints of its images and frozen encoders."""
    settings = configured_settings(cfg)
    # Sizes, because own images are often called 0.png, 1.png and so on in every folder.
    rows = [
        (Path(item.impath).name, item.label, item.classname, _size_of(item.impath))
        for item in trainer.dm.dataset.train_x
    ]
    settings["training images"] = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
    for name in ("backbone", "aux_encoder"):
        settings[f"{name.replace('_', ' ')} sha256"] = getattr(getattr(trainer, name, None), "sha256", None)
    return settings


def _size_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:  # a data set need not consist of files
        return None


def configured_settings(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the settings that a configuration tree holds; the fingerprints are None."""
    settings = {key: value for key, value in leaves(cfg) if key not in _FREE_SETTINGS}
    plain: dict[str, Any] = json.loads(json.dumps(settings))  # tuples become lists, as they are read back
    return {**plain, **dict.fromkeys(_FINGERPRINTS)}


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


def data_of_model(folder: Path) -> tuple[str, str] | None:
    """Return the name of the data set YAML that a run folder's model was trained on, and its root; None if not known.

    Raises:
        ValueError: If its result is damaged, or only the data set's name is known.
    """
    result = read_result(folder)
    root = result.get("cfg", {}).get("DATASET", {}).get("ROOT")
    if result.get("dataset") and root is not None:
        return str(result["dataset"]), str(root)
    name = (read_settings(folder) or {}).get("DATASET.NAME")
    if name is not None:
        raise ValueError(f"{folder} holds a model of {name}, but not its images; --dataset-config-file names them")
    return None


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
    _refuse_differing(earlier, settings, folder, remedy)


def check_configured(earlier: dict[str, Any], cfg: CfgNode, folder: Path, remedy: str) -> None:
    """Refuse a run folder whose settings differ from a configuration, whatever the fingerprints are.

    Args:
        earlier: The settings of the run there.
        cfg: The configuration of the run that is planned.
        folder: The run folder.
        remedy: What to do, for the message.

    Raises:
        ValueError: Naming the settings that differ, and the remedy.
    """
    _refuse_differing({**earlier, **dict.fromkeys(_FINGERPRINTS)}, configured_settings(cfg), folder, remedy)


def _refuse_differing(earlier: dict[str, Any], settings: dict[str, Any], folder: Path, remedy: str) -> None:
    differing = [key for key in {**earlier, **settings} if earlier.get(key) != settings.get(key)]
    if differing:
        changes = "; ".join(_change(key, earlier.get(key), settings.get(key)) for key in differing[:3])
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise ValueError(f"{folder} holds a run with other settings ({changes}{more}); {remedy}")


def _change(key: str, there: Any, here: Any) -> str:
    if key in _FINGERPRINTS and there is None:
        return f"{key} not noted there"
    return f"other {key}" if key in _FINGERPRINTS else f"{key} {there} there, {here} here"


def claim_folder(settings: dict[str, Any], folder: Path) -> None:
    """Check that a run folder is new or this run's own, and note the settings there.

    A folder whose run never saved a model is nobody's: a first try that failed does not block the second.

    Raises:
        ValueError: If it holds the model of another run.
    """
    if any(folder.glob("*/checkpoint")) or (folder / RESULT_FILE).is_file():
        check_same(settings, folder, "give another --output-dir, or remove the folder")
    write_json_file(settings, folder / SETTINGS_FILE)


def model_settings(folder: Path, trainer: str, data: CfgNode) -> list[tuple[str, Any]]:
    """Return the settings that an evaluation takes over from the folder of the model; none if they are not known.

    What was chosen for the model belongs to it. Where the model is evaluated on data that it was not trained
    on, nothing is chosen anew: that would adapt it to the images it is to be judged on.

    Args:
        folder: Run folder of the model.
        trainer: Name of its trainer.
        data: The evaluation's DATASET settings.

    Raises:
        ValueError: If the folder holds another trainer's model, or one of its files is damaged.
    """
    settings = read_settings(folder) or {}
    if settings.get("TRAINER.NAME", trainer) != trainer:
        raise ValueError(f"{folder} holds a model of trainer {settings['TRAINER.NAME']}, not of {trainer}")
    method = f"TRAINER.{node_of(trainer)}."
    # How it was chosen belongs to a model as well: a figure of the best test epoch stays one wherever it is evaluated.
    single = ["SEED", "DATASET.NUM_SHOTS", "DATASET.TEMPLATES", "DATASET.VALIDATION"]
    single += [] if selection_unknown(settings) else ["TEST.FINAL_MODEL"]
    taken = {
        key: value
        for key, value in settings.items()
        if (key.startswith((method, "MODEL.", "INPUT.", "FEATURES.")) or key in single) and key not in _FREE_SETTINGS
    }
    taken.update(_method_settings(folder, trainer, settings, data))
    return list(taken.items())


def node_of(trainer: str) -> str:
    """Return the name of a trainer's node: that of its method, which trainers that extend ours share with it."""
    return str(getattr(getattr(TRAINER_REGISTRY.get(trainer), "kind", None), "__name__", trainer)).upper()


def _method_settings(folder: Path, trainer: str, settings: dict[str, Any], data: CfgNode) -> dict[str, Any]:
    """Return what the method changes in its settings where a model is evaluated, by configuration key."""
    kind = getattr(TRAINER_REGISTRY.get(trainer), "kind", None)
    if kind is None:
        return {}
    prefix, result = f"TRAINER.{node_of(trainer)}.", read_result(folder)
    trained = {key.removeprefix(prefix).lower(): value for key, value in settings.items() if key.startswith(prefix)}
    same_data = _same_data(settings, result, data)
    changed = kind.settings_for_evaluation(trained, result, same_data=same_data)
    told = any(result.get(name) is not None for name in kind.chosen)  # a run's result says what it decided by
    if changed and not (told or (same_data and result)):
        path = folder / RESULT_FILE
        warnings.warn(
            f"no {path} says which settings were chosen for the model; the configured ones hold", stacklevel=2
        )
    return {f"{prefix}{name.upper()}": value for name, value in changed.items()}


def selection_unknown(settings: Mapping[str, Any]) -> bool:
    """Tell whether nobody has said how the model of a run folder was chosen, which may have been on test images."""
    return settings.get("TEST.FINAL_MODEL") == NOT_STATED


def read_result(folder: Path) -> dict[str, Any]:
    """Return what the result file of a run folder holds; nothing if there is none.

    Raises:
        ValueError: If it is damaged.
    """
    path = folder / RESULT_FILE
    result = read_json_file(path, what="result file") if path.is_file() else {}
    if not isinstance(result, dict):
        raise ValueError(f"result file {path} is damaged: it holds no result; remove or restore it")
    return result


def _same_data(settings: dict[str, Any], result: dict[str, Any], data: CfgNode) -> bool:
    """Tell whether a model is evaluated on the data set and classes that it was trained on."""
    if any(settings.get(f"DATASET.{key}") != data[key] for key in ("NAME", "SUBSAMPLE_CLASSES")):
        return False
    return same_root(result, data)


def same_root(result: Mapping[str, Any], data: CfgNode) -> bool:
    """Tell whether a result is of the images that a DATASET tree names, for data sets that only ROOT tells apart."""
    root = result.get("cfg", {}).get("DATASET", {}).get("ROOT")  # not known of a run without a result
    if data.NAME not in _DATA_IN_ROOT or root is None:
        return True
    return Path(root).expanduser().absolute() == Path(data.ROOT).expanduser().absolute()


def check_finite(cfg: CfgNode) -> None:
    """Refuse numbers that are not finite, wherever they stand.

    Raises:
        ValueError: Naming the key.
    """
    for key, value in leaves(as_dict(cfg)):
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise ValueError(f"configuration key {key} must be finite, got {value}")
