"""Tell runs apart that one cell of a table would mix: other protocols, other settings."""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from experiments.results.run_folders import Run

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
_SHOWN = 3  # settings that a name gives, more of them only where names would be the same
Identity = tuple[tuple[str, Any], ...]  # each setting that differs, with its value


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

    Names are equal exactly where all settings that differ are equal, so that runs may be grouped by them. What differs
    within one cell names all cells of that trainer and config, so that a row of a table is one variant throughout.
    Settings that a run does not record are no difference. Figures not of test images always say so.
    """
    settings = {id(run): settings_of(run) for run in runs}
    order = list(dict.fromkeys(key for known in settings.values() for key in known))
    methods: dict[Any, set[str]] = defaultdict(set)
    cells: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        if run.scores:
            cells[run.label].append(run)
    for label, members in cells.items():
        known: dict[str, set[Any]] = defaultdict(set)
        for run in members:
            for key, value in settings[id(run)].items():
                known[key].add(value)
        methods[_method(label)] |= {key for key, values in known.items() if len(values) > 1}
    identities = [_identity(settings[id(run)], methods[_method(run.label)], order) for run in runs]
    names = _names(dict.fromkeys(identities))
    return [names[identity] for identity in identities]


def _method(label: Any) -> tuple[str, ...]:
    return (label.subset, label.trainer, label.config, label.backbone, label.trained_on)


def _identity(settings: Mapping[str, Any], differing: Iterable[str], order: Sequence[str]) -> Identity:
    wanted = set(differing)
    keys = [key for key in order if key in wanted]
    if settings.get("split", "test") != "test":
        keys = ["split", *(key for key in keys if key != "split")]
    return tuple((key, settings[key]) for key in keys if key in settings)


def _names(identities: Iterable[Identity]) -> dict[Identity, str]:
    """Name every identity by its first settings; where such names are equal, by all in which their identities differ.

    Values that look alike, such as "8" and 8, are told apart by a number.
    """
    alike: dict[str, list[Identity]] = defaultdict(list)
    for identity in identities:
        alike[_short(identity, set())].append(identity)
    names: dict[Identity, str] = {}
    for group in alike.values():
        shared = set(group[0]).intersection(*group)
        telling = {setting for identity in group for setting in identity} - shared
        for identity in group:
            name, taken = _short(identity, telling), set(names.values())
            numbered = (f"{name} ({number})" for number in itertools.count(2))
            names[identity] = next(text for text in itertools.chain([name], numbered) if text not in taken)
    return names


def _short(identity: Identity, telling: Collection[tuple[str, Any]]) -> str:
    shown = [
        f"{key.removeprefix('protocol.')}={value}"
        for place, (key, value) in enumerate(identity)
        if place < _SHOWN or (key, value) in telling
    ]
    more = len(identity) - len(shown)
    return ", ".join(shown + [f"and {more} more"] * (more > 0))
