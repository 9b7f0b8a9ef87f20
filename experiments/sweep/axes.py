"""What a sweep goes over, from the command line or a plan file, checked before anything heavy is imported."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from amu_raft.plain_values import as_literal
from experiments.runs.config import CONFIGS

ALL_SHOTS = "all"
JOBS = ("grid", "transfer", "base2new", "evaluate")
TRANSFER_SOURCE = "imagenet"
# What the axes decide, so that a pair that says something else would contradict the plan.
_DECIDED = {
    "TRAINER.NAME": "--trainers",
    "DATASET.NUM_SHOTS": "--shots",
    "DATASET.ROOT": "--root",
    "DATASET.SUBSAMPLE_CLASSES": "--job base2new",
    "SEED": "--seeds",
    "OUTPUT_DIR": "--output-dir",
}


@dataclass(frozen=True)
class Axes:
    """The axes of a sweep and what its runs have in common.

    Attributes:
        trainers: Registered trainers.
        datasets: Stems of files in configs/datasets, or YAML files; of a transfer its targets.
        backbones: Names of trainer configurations or of CLIP models; empty: tiny for data sets that are generated here,
            else rn50.
        shots: Images per class; 0 for all.
        seeds: Seeds.
        root: Folder of the data sets, "" if none is needed.
        output_dir: Folder of the results.
        overrides: KEY, VALUE, KEY, VALUE... for every run.
        modules: Modules to import first, which register trainers or data sets.
        job: "grid"; "transfer": train on ImageNet, evaluate on the data sets; "base2new": train on one half of the
            classes, evaluate on the other; "evaluate": what a grid trained, once more.
    """

    trainers: tuple[str, ...]
    datasets: tuple[str, ...]
    backbones: tuple[str, ...] = ()
    shots: tuple[int, ...] = (1, 2, 4, 8, 16)
    seeds: tuple[int, ...] = (1, 2, 3)
    root: str = ""
    output_dir: Path = Path("output")
    overrides: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    job: str = "grid"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for sweep.json."""
        return {**asdict(self), "output_dir": str(self.output_dir)}


def parse_axes(given: Mapping[str, Any]) -> Axes:
    """Check what was given and return the axes.

    Args:
        given: Any of the attributes of ``Axes``, as words or numbers, those of the command line being words.

    Raises:
        ValueError: Naming the axis, the value and what is accepted.
    """
    checked: dict[str, Any] = {}
    for name in ("trainers", "datasets", "backbones", "modules"):
        if name in given:
            checked[name] = _unique(name, [str(word) for word in _list(name, given[name])])
    if "shots" in given:
        checked["shots"] = _unique("shots", [_shots(word) for word in _list("shots", given["shots"])])
    if "seeds" in given:
        checked["seeds"] = _unique("seeds", [_whole("seeds", word, 0) for word in _list("seeds", given["seeds"])])
    for name in ("trainers", "datasets", "shots", "seeds"):
        if not checked.get(name, name in ("shots", "seeds")):
            raise ValueError(f"no {name} are given; --{name} or `{name}` of a plan file names them")
    checked["datasets"] = tuple(_dataset(name) for name in checked["datasets"])
    if len({Path(name).stem for name in checked["datasets"]}) < len(checked["datasets"]):
        raise ValueError(f"--datasets has two files of the same name: {', '.join(checked['datasets'])}")
    checked["overrides"] = _overrides(given.get("overrides") or ())
    checked["root"] = str(given.get("root") or "")
    checked["output_dir"] = Path(given.get("output_dir") or Axes.output_dir)
    checked["job"] = str(given.get("job") or Axes.job)
    if checked["job"] not in JOBS:
        raise ValueError(f"unknown job {checked['job']!r}; accepted are {', '.join(JOBS)}")
    return Axes(**checked)


def read_plan_file(path: Path) -> dict[str, Any]:
    """Read a YAML file with any of the attributes of ``Axes``; ``overrides`` may be a mapping.

    Its values are taken as they are written, as on a command line: ``off`` and ``1e-3`` are words.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML mapping or has an unknown key, naming the nearest.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no plan file {path}")
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    known = [item.name for item in fields(Axes)]
    if not isinstance(content, dict):
        raise ValueError(f"plan file {path} must be a mapping with any of {', '.join(known)}")
    for key in content:
        if key not in known:
            near = get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            raise ValueError(f"unknown key {key!r} in {path}; the nearest known key is {near!r}")
    if content.get("overrides") is not None:
        content["overrides"] = _as_written(yaml.load(text, Loader=yaml.BaseLoader)["overrides"])
    return {key: value for key, value in content.items() if value is not None}


def _as_written(overrides: Any) -> Any:
    """Return overrides whose scalars are text, as words of a command line."""
    if isinstance(overrides, Mapping):
        return {key: _word(value) for key, value in overrides.items()}
    return [_word(value) for value in overrides] if isinstance(overrides, list) else overrides


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        key = next(iter(value), "KEY")
        raise ValueError(f"overrides have dotted keys, such as OPTIM.LR; {key!r} stands below another key")
    if isinstance(value, list):
        return str([as_literal(_word(item)) for item in value])
    text = str(value)
    return text.capitalize() if text.lower() in ("true", "false") else text


def dataset_file(dataset: str) -> Path:
    """Return the YAML file of a data set given by its stem or as a file."""
    stem = CONFIGS / "datasets" / f"{dataset}.yaml"
    return stem if stem.is_file() else Path(dataset)


def _dataset(name: str) -> str:
    if name and dataset_file(name).is_file():
        return name
    known = sorted(path.stem for path in (CONFIGS / "datasets").glob("*.yaml"))
    near = get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"no data set {name!r}{hint}; known are {', '.join(known)}")


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        raise ValueError(f"{name} is a list of values, not a mapping")
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _unique(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"--{name} names {value or ALL_SHOTS if name == 'shots' else value} twice")
    return tuple(values)


def _shots(word: Any) -> int:
    return 0 if word == ALL_SHOTS else _whole("shots", word, 1, f', or "{ALL_SHOTS}" for every training image')


def _whole(name: str, word: Any, least: int, more: str = "") -> int:
    text = str(word)
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ValueError(f"--{name} has {text!r}; accepted are whole numbers from {least}{more}")
    return int(text)


def _overrides(given: Any) -> tuple[str, ...]:
    """Return pairs as words, refusing those that the axes decide."""
    words = (
        [word for pair in given.items() for word in pair] if isinstance(given, Mapping) else _list("overrides", given)
    )
    texts = [str(word) for word in words if word != "--"]
    if len(texts) % 2:
        raise ValueError(f"overrides come in pairs KEY VALUE; the last one, {texts[-1]!r}, has no value")
    for key in texts[::2]:
        if key in _DECIDED:
            raise ValueError(f"{key} cannot be overridden in a sweep: {_DECIDED[key]} decides it")
    return tuple(texts)
