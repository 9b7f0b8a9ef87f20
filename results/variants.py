"""Tell runs apart that one cell of a table would mix: other protocols, other settings."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from results.run_folders import Run

# What may differ between the seeds of a cell. A folder of images is told from another by DATASET.ROOT alone.
FREE_SETTINGS = frozenset(
    {
        "DATALOADER.NUM_WORKERS",
        "DATASET.ROOT",
        "FEATURES.LIMIT",
        "FEATURES.STORE",
        "FEATURES.STRICT",
        "MODEL.WEIGHTS",
        "OUTPUT_DIR",
        "RESUME",
        "SEED",
        "TEST.COMPUTE_CMAT",
        "TEST.FIGURES",
        "TEST.KEEP_PREDICTIONS",
        "TEST.PER_CLASS_RESULT",
        "TRAIN.CHECKPOINT_FREQ",
        "TRAIN.PRINT_FREQ",
        "USE_CUDA",
        "VERBOSE",
        "VERSION",
    }
)
PROTOCOL = ("final_model", "selected_on", "views", "oracle", "validation")
_OF_A_MODEL = ("DATASET.", "INPUT.", "MODEL.", "TEST.", "TRAINER.")
_REPEATED = {"protocol.final_model": "TEST.FINAL_MODEL", "protocol.views": "TRAIN.VIEWS"}  # said twice in result.json
_SHOWN = 3


def settings_of(run: Run) -> dict[str, Any]:
    """Return everything that decides a run's figures besides its seed; empty where a run does not say."""
    result = run.result
    if not result:
        return {}
    protocol = run.protocol or result.get("protocol") or {}
    settings = {f"protocol.{key}": protocol[key] for key in PROTOCOL if key in protocol}
    tree = result.get("cfg") or {}
    free = FREE_SETTINGS - ({"DATASET.ROOT"} if result.get("dataset_name") == "ImageFolder" else set())
    decides = _OF_A_MODEL if result.get("mode") == "eval" else ("",)  # the others come from where it was trained
    settings |= {key: value for key, value in _leaves(tree) if key not in free and key.startswith(decides)}
    settings |= {key: result[key] for key in ("split", "backbone_sha256") if result.get(key) is not None}
    for repeated, original in _REPEATED.items():
        if original in settings:
            settings.pop(repeated, None)
    return {key: repr(value) if isinstance(value, list | dict) else value for key, value in settings.items()}


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def variants(runs: Sequence[Run]) -> list[str]:
    """Return a name for every run that tells apart those which one cell would mix, "" for runs that need none.

    What differs within one cell names all cells of that trainer and config, so that a row of a table is one variant
    throughout. Settings that a run does not record are no difference. Figures not of test images always say so.
    """
    methods: dict[Any, dict[str, None]] = defaultdict(dict)
    cells: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        if run.scores:
            cells[run.label].append(run)
    for label, members in cells.items():
        known: dict[str, set[Any]] = defaultdict(set)
        for run in members:
            for key, value in settings_of(run).items():
                known[key].add(value)
        methods[_method(label)] |= dict.fromkeys(key for key, values in known.items() if len(values) > 1)
    return [_name(run, list(methods[_method(run.label)])) for run in runs]


def _method(label: Any) -> tuple[str, ...]:
    return (label.subset, label.trainer, label.config, label.backbone, label.trained_on)


def _name(run: Run, keys: list[str]) -> str:
    settings = settings_of(run)
    split = settings.get("split", "test")
    keys = ["split", *(key for key in keys if key != "split")] if split != "test" else keys
    named = [f"{key.removeprefix('protocol.')}={settings[key]}" for key in keys if key in settings]
    more = [f"and {len(named) - _SHOWN} more"] if len(named) > _SHOWN else []
    return ", ".join(named[:_SHOWN] + more)
