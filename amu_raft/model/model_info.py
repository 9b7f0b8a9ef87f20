"""model-info.json: what a trained model is, apart from its numbers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from amu_raft.backbones.encoder_layers import check_encoder_layers
from amu_raft.backbones.precision import PRECISIONS
from amu_raft.backbones.preprocess import ChannelStatistics
from amu_raft.images.pixels import PixelRecipe
from amu_raft.plain_values import number

INFO_FILE = "model-info.json"
SCHEMA = 1


class EncoderIdentity(NamedTuple):
    """A frozen encoder: what it is loaded by, and the checksum of its weight file."""

    name: str
    sha256: str


@dataclass(frozen=True)
class ModelInfo:
    """What model-info.json holds.

    Attributes:
        method: Name of a registered method.
        classnames: Names of the C classes.
        class_keys: What tells classes of different data sets apart; mostly the names.
        prompts: The sentences that stand for each class.
        backbone: CLIP.
        precision: Precision that images are encoded in.
        layers: Layers that residual encoders compute with (``amu_raft.backbones.encoder_layers``).
        aux_encoder: The second encoder of a method that has one, or None.
        recipe: How a picture is made the encoders' input.
        mean: Channel means in [0, 1] that the data loaders normalised by; an encoder's own come after.
        std: Standard deviations likewise.
        choices: What the method has beside its tensors, such as alpha.
        temperature: Divides the adapted logits before the softmax.
        about: Everything that is only to be read: calibration, data, protocol, metrics, versions, commit, date.
    """

    method: str
    classnames: list[str]
    class_keys: list[str]
    prompts: list[list[str]]
    backbone: EncoderIdentity
    precision: str
    layers: str
    aux_encoder: EncoderIdentity | None
    recipe: PixelRecipe
    mean: tuple[float, ...]
    std: tuple[float, ...]
    choices: dict[str, Any]
    temperature: float = 1.0
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def statistics(self) -> ChannelStatistics:
        """The data loaders' normalisation."""
        return ChannelStatistics(self.mean, self.std)

    def content(self, weights_sha256: str) -> dict[str, Any]:
        """Return what is written, given the checksum of the weights beside it."""
        classes = zip(self.class_keys, self.classnames, self.prompts, strict=True)
        return {
            "schema": SCHEMA,
            "method": self.method,
            "weights_sha256": weights_sha256,
            "backbone": {**self.backbone._asdict(), "precision": self.precision},
            "aux_encoder": self.aux_encoder._asdict() if self.aux_encoder else None,
            "encoder_layers": self.layers,
            "preprocessing": {
                "size": self.recipe.size,
                "interpolation": self.recipe.interpolation,
                "crop": "center",
                "mean": list(self.mean),
                "std": list(self.std),
            },
            "choices": self.choices,
            "temperature": self.temperature,
            **self.about,
            "classes": [{"key": key, "name": name, "prompts": prompts} for key, name, prompts in classes],
        }


def read_info(folder: Path) -> tuple[ModelInfo, str]:
    """Return the information in a model folder, and the checksum that its weights must have.

    Raises:
        FileNotFoundError: If there is no such folder, or it holds no model that can be used so.
        ValueError: If the file is damaged or of another schema.
    """
    path = folder / INFO_FILE
    if not folder.is_dir():
        raise FileNotFoundError(f"no model folder {folder}; give the run folder of a finished training")
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {INFO_FILE}{_why_missing(folder)}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged, no JSON can be read from it ({error})") from error
    try:
        return _parsed(content)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _why_missing(folder: Path) -> str:
    """Say what a folder without a model may be."""
    below = (folder.glob("*/" * depth + INFO_FILE) for depth in range(1, 5))  # output/DATASET/TRAINER/CONFIG/seed
    inside = [str(found.parent) for found in islice(chain.from_iterable(below), 3)]
    if inside:
        return f"; folders below that have one: {', '.join(inside)}"
    if (folder / "settings.json").is_file() and not (folder / "result.json").is_file():
        return ": this run has not come to its end; the same train.py command goes on with it"
    return (
        ", which train.py writes at the end of a run of a registered method; of an older run, "
        "train.py --eval-only --model-dir writes one into its own output folder"
    )


def _parsed(content: Any) -> tuple[ModelInfo, str]:
    schema = _take(content, "schema", int)
    if schema != SCHEMA:
        raise ValueError(f"schema {schema} is not one that this version reads ({SCHEMA})")
    classes = [_class_of(entry, index) for index, entry in enumerate(_take(content, "classes", list))]
    if len(classes) < 2:
        raise ValueError(f'"classes" has {len(classes)}, a classifier at least 2')
    aux = content.get("aux_encoder")
    crop = _take(content, "preprocessing.crop", str)
    if crop != "center":
        raise ValueError(f"\"preprocessing.crop\" is {crop!r}, accepted is 'center'")
    info = ModelInfo(
        method=_take(content, "method", str),
        classnames=[name for _, name, _ in classes],
        class_keys=[key for key, _, _ in classes],
        prompts=[prompts for _, _, prompts in classes],
        backbone=_identity(content, "backbone"),
        precision=_precision(content),
        layers=_layers(content),
        aux_encoder=None if aux is None else _identity(content, "aux_encoder"),
        recipe=PixelRecipe(
            _take(content, "preprocessing.size", int), _take(content, "preprocessing.interpolation", str)
        ),
        mean=_three(content, "preprocessing.mean"),
        std=_three(content, "preprocessing.std"),
        choices=_take(content, "choices", dict),
        temperature=number(_take(content, "temperature", float), "temperature"),
        about={key: content[key] for key in _ABOUT if key in content},
    )
    if not 1e-6 <= info.temperature <= 1e6:
        raise ValueError(f'"temperature" must be from 1e-06 to 1e+06, got {info.temperature}')
    _ = info.statistics
    return info, _checksum(content, "weights_sha256")


_ABOUT = (
    *("calibration", "background_template", "data", "trained_on"),
    *("protocol", "metrics", "versions", "git_commit", "created"),
)


def _take(content: Any, dotted: str, kind: type) -> Any:
    """Return an entry of nested objects; a whole number will do where a fraction is wanted."""
    value = content
    for key in dotted.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise ValueError(f'"{dotted}" is missing')
        value = value[key]
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f'"{dotted}" must be of type {kind.__name__}, got {type(value).__name__}')
    return value


def _identity(content: Any, name: str) -> EncoderIdentity:
    return EncoderIdentity(_take(content, f"{name}.name", str), _checksum(content, f"{name}.sha256"))


def _checksum(content: Any, dotted: str) -> str:
    text: str = _take(content, dotted, str)
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f'"{dotted}" must be 64 hexadecimal digits, got {text!r}')
    return text


def _precision(content: Any) -> str:
    name: str = _take(content, "backbone.precision", str)
    if name not in PRECISIONS:
        raise ValueError(f'"backbone.precision" is {name!r}, accepted are {", ".join(PRECISIONS)}')
    return name


def _layers(content: Any) -> str:
    layers: str = _take(content, "encoder_layers", str)
    check_encoder_layers(layers)
    return layers


def _three(content: Any, dotted: str) -> tuple[float, ...]:
    values = _take(content, dotted, list)
    if len(values) != 3:
        raise ValueError(f'"{dotted}" must be three numbers, got {values!r}')
    return tuple(number(value, dotted) for value in values)


def _class_of(entry: Any, index: int) -> tuple[str, str, list[str]]:
    try:
        key, name, prompts = _take(entry, "key", str), _take(entry, "name", str), _take(entry, "prompts", list)
    except ValueError as error:
        raise ValueError(f"class {index}: {error}") from error
    if not all(isinstance(prompt, str) for prompt in prompts):
        raise ValueError(f'class {index}: "prompts" must be sentences')
    return key, name, prompts
