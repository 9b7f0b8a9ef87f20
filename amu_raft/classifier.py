"""Few-shot classification of pictures in scikit-learn's manner: fit, predict, score, save."""

import contextlib
import math
import random
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from inspect import isabstract
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, check_random_state

from amu_raft.backbones.text_classifier import fill_templates
from amu_raft.fit.fitting import Fitting, Given, fit_model
from amu_raft.fit.settings import read_settings
from amu_raft.images.given_images import as_list, check_lengths
from amu_raft.images.own_images import TEMPLATES
from amu_raft.isolation import own_state
from amu_raft.methods import Method, get_method
from amu_raft.methods.registry import DEFAULT_METHOD
from amu_raft.model.model_folder import LoadedModel, load_model_folder, write_model_folder
from amu_raft.prediction.session import choose_device, score_images

_BATCH = 64


class FewShotClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Adapt a frozen CLIP to labelled pictures.

    Pictures are paths, Pillow images, or uint8 arrays (H, W, 3) or (H, W). Labels are whatever can be a key of a dict.

    Args:
        method: Name of a registered method, such as "amu" or "raft", in any case; or a class of one's own.
        backbone: Name of a CLIP, or the path of a weight file.
        classnames: What labels are called in sentences, {label: text}; others are called by themselves.
        templates: Sentences with "{}" for the class; None for the default ones.
        validation_fraction: Share of each class's images, rounded down, that probabilities are calibrated on instead of
            being trained on. A class of fewer than 1 / share images gives none.
        settings: Settings of the method and of its training, such as {"epochs": 20}; configuration keys do as well.
        weights: Folder of official weight files, or one file.
        device: Such as "cpu" or "cuda"; None is a GPU if there is one.
        random_state: Whole number, generator or None, as everywhere in scikit-learn.
        verbose: Whether training prints what it does.

    Attributes:
        classes_: The labels, in the order of columns of ``predict_proba``.
        model_: The adapted model and what it is (``LoadedModel``).
    """

    def __init__(
        self,
        method: str | type[Method] = DEFAULT_METHOD,
        backbone: str = "tiny",
        *,
        classnames: dict[Any, str] | None = None,
        templates: Sequence[str] | None = None,
        validation_fraction: float = 0.2,
        settings: dict[str, Any] | None = None,
        weights: str | None = None,
        device: str | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.backbone = backbone
        self.classnames = classnames
        self.templates = templates
        self.validation_fraction = validation_fraction
        self.settings = settings
        self.weights = weights
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, images: Any, labels: Any) -> "FewShotClassifier":
        """Train.

        Args:
            images: N pictures.
            labels: Their N labels, of two classes or more.

        Raises:
            ValueError: If a parameter, the lengths or the labels cannot be.
            OSError: If a picture, which the message names, cannot be read.
            TypeError: If something is neither picture nor label.
        """
        self._check_parameters()
        images, column = as_list(images), _column(labels)
        check_lengths(images, column)
        classes = _classes_of(column)
        number_of = {label: number for number, label in enumerate(classes.tolist())}
        numbers = [number_of[label] for label in column.tolist()]
        kind, seed = get_method(self.method), _seed(self.random_state)
        names = [" ".join(name.split()) for name in self._names(classes.tolist())]
        held = _hold_out(numbers, len(classes), float(self.validation_fraction), seed)
        training, validation = _divided(images, numbers, held)
        fitting = Fitting(
            kind=kind,
            settings=read_settings(kind, self.backbone, self.settings or {}),
            training=training,
            validation=validation,
            names=names,
            keys=[f"{number:06d}" for number in range(len(classes))],
            prompts=fill_templates(names, self.templates or TEMPLATES),
            backbone=self.backbone,
            seed=seed,
            weights=self.weights,
            device=choose_device(self.device),
            data={"dataset_name": "given", "images": len(images), "held_out": len(held)},
            say=print if self.verbose else _silent,
        )
        with contextlib.ExitStack() as stack:
            if not self.verbose:
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self.model_ = fit_model(fitting)
        self.classes_ = classes
        return self

    def decision_function(self, images: Any) -> np.ndarray[Any, Any]:
        """Return the logits (N, C) that decide; of two classes the second's minus the first's, (N,)."""
        logits = self._logits(images).numpy()
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_proba(self, images: Any) -> np.ndarray[Any, Any]:
        """Return calibrated probabilities (N, C), in the order of ``classes_``."""
        logits = self._logits(images).double()
        found: np.ndarray[Any, Any] = (logits / self.model_.model.temperature).softmax(dim=1).numpy()
        return found

    def predict(self, images: Any) -> np.ndarray[Any, Any]:
        """Return the likeliest label of each picture, (N,)."""
        logits = self._logits(images)
        found: np.ndarray[Any, Any] = self.classes_[logits.argmax(dim=1).numpy()]
        return found

    def score(self, images: Any, labels: Any, sample_weight: Any = None) -> float:
        """Return the share of images whose label is predicted, in [0, 1]; labels of any kind, unlike scikit-learn's.

        Raises:
            ValueError: If there is not one label per image, or no image.
        """
        images, column = as_list(images), _column(labels)
        check_lengths(images, column)
        pairs = zip(self.predict(images).tolist(), column.tolist(), strict=True)
        return float(np.average([found == label for found, label in pairs], weights=sample_weight))

    def save(self, folder: Path | str) -> None:
        """Write the model folder, which ``load`` and predict.py read.

        Raises:
            ValueError: If a label is neither text nor number.
            NotFittedError: If there is no model yet.
        """
        check_is_fitted(self, "model_")
        labels = self.classes_.tolist()
        if wrong := [label for label in labels if not isinstance(label, (str, int, float))]:
            raise ValueError(f"label {wrong[0]!r} cannot be saved; texts and numbers can")
        info = self.model_.info
        keys = [str(label) for label in labels]
        data = {**info.about.get("data", {}), "labels": labels}
        info = replace(
            info,
            class_keys=keys if len(set(keys)) == len(keys) else info.class_keys,
            about={**info.about, "data": data},
        )
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_model_folder(self.model_.model, info, folder)

    @classmethod
    def load(cls, folder: Path | str, *, weights: str | None = None, device: str | None = None) -> "FewShotClassifier":
        """Return the classifier of a model folder, be it saved by ``save`` or left by train.py.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If one is damaged, or an encoder is not the one of the training.
        """
        with own_state(torch.get_num_threads()):
            loaded = load_model_folder(folder, weights=weights, device=choose_device(device))
        info = loaded.info
        loadable = cls(info.method, info.backbone.name, weights=weights, device=device)
        loadable.model_, loadable.classes_ = loaded, _saved_labels(loaded)
        return loadable

    def _logits(self, images: Any) -> torch.Tensor:
        """Read and score a batch at a time; (N, C) on the CPU."""
        check_is_fitted(self, "model_")
        parts: list[torch.Tensor] = []
        for scores in score_images(self.model_, as_list(images), batch_size=_BATCH):
            logits = scores.adapted.float().cpu()
            finite = logits.isfinite().all(dim=1)
            if not finite.all():
                number = _BATCH * len(parts) + int((~finite).nonzero()[0])
                raise ArithmeticError(f"the model's scores of image {number} are no finite numbers")
            parts.append(logits)
        return torch.cat(parts) if parts else torch.empty(0, self.model_.model.num_classes)

    def _check_parameters(self) -> None:
        kind = get_method(self.method)
        if isabstract(kind):
            raise ValueError(f"method {kind.__name__} is abstract: it does not say what its branches are")
        if not isinstance(self.backbone, str):
            raise ValueError(f"backbone must be the name of a CLIP or a path, got {self.backbone!r}")
        for name in ("settings", "classnames"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, Mapping):
                raise ValueError(f"{name} must be a mapping, got {str(value)[:40]!r}")
        if not isinstance(self.validation_fraction, Real) or not 0 <= self.validation_fraction < 1:
            raise ValueError(f"validation_fraction must be from 0 to below 1, got {self.validation_fraction!r}")
        if isinstance(self.templates, str):
            raise ValueError(f"templates must be a list of sentences, got the text {self.templates!r}")
        if wrong := [item for item in self.templates or () if not isinstance(item, str)]:
            raise ValueError(f"templates must be a list of sentences, got {wrong[0]!r} among them")

    def _names(self, labels: Sequence[Any]) -> list[str]:
        names = self.classnames or {}
        if unknown := [label for label in names if label not in labels]:
            raise ValueError(f"classnames has {unknown[0]!r}, which is no label; labels are {list(labels)[:10]!r}")
        texts = [str(names.get(label, label)) for label in labels]
        if empty := [label for label, text in zip(labels, texts, strict=True) if not text.strip()]:
            raise ValueError(f"label {empty[0]!r} has no name; give it one by classnames")
        return texts


def _silent(line: str) -> None:
    """Say nothing."""


def _hold_out(numbers: Sequence[int], num_classes: int, share: float, seed: int) -> list[int]:
    """Return the places of the images that nothing is trained on: a share of each class, rounded down, but not all."""
    draw = random.Random(f"held out: {seed}")
    held: list[int] = []
    for number in range(num_classes):
        places = [place for place, found in enumerate(numbers) if found == number]
        held += draw.sample(places, min(int(len(places) * share), len(places) - 1))
    return sorted(held)


def _divided(images: Sequence[Any], numbers: Sequence[int], held: Sequence[int]) -> tuple[Given, Given | None]:
    """Return the images to train on, and those that are held out; None if there are none."""
    left_out = set(held)
    rest = [place for place in range(len(images)) if place not in left_out]
    training, validation = (
        Given([images[place] for place in places], [numbers[place] for place in places], places)
        for places in (rest, held)
    )
    return training, validation if held else None


def _column(labels: Any) -> np.ndarray[Any, Any]:
    """Return labels as a column that mixes nothing up: NumPy would turn [1, "a"] into two texts."""
    if isinstance(labels, (str, bytes)):
        raise TypeError(f"labels must be a list, got the text {labels!r}")
    if isinstance(labels, torch.Tensor):  # its items are tensors, of which no two are equal as keys
        labels = labels.detach().cpu().numpy()
    if isinstance(labels, np.ndarray) and labels.ndim != 1:
        raise ValueError(f"labels must have one dimension, got shape {labels.shape}")
    items = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if wrong := [item for item in items if not isinstance(item, Hashable)]:
        raise TypeError(f"label {wrong[0]!r} cannot be told from others: a {type(wrong[0]).__name__} has no hash")
    items = [item.item() if isinstance(item, np.generic) else item for item in items]
    if any(isinstance(item, float) and not math.isfinite(item) for item in items):
        raise ValueError("a label is not a finite number")
    kinds = {type(item) for item in items}
    if len(kinds) == 1 and kinds <= {str, bool, int, float}:
        column = np.asarray(items)
        if column.tolist() == items and {type(item) for item in column.tolist()} == kinds:
            return column  # NumPy would cut a NUL off a text, and make fractions of whole numbers beyond its own
    return _objects(items)


def _objects(items: Sequence[Any]) -> np.ndarray[Any, Any]:
    column = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):  # all at once, NumPy would take tuples for rows
        column[place] = item
    return column


def _classes_of(column: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the different labels, sorted, or in the order of their appearance if they cannot be."""
    distinct = list(dict.fromkeys(column.tolist()))
    if len(distinct) < 2:
        raise ValueError(f"all labels are {distinct[0]!r}; two classes or more are wanted")
    with contextlib.suppress(TypeError):
        distinct.sort()
    return _column(distinct)


def _saved_labels(loaded: LoadedModel) -> np.ndarray[Any, Any]:
    info = loaded.info
    data = info.about.get("data")
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, list) or len(labels) != len(info.classnames):
        labels = info.classnames if len(set(info.classnames)) == len(info.classnames) else info.class_keys
    return _column(list(labels))


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if not 0 <= random_state < 2**32:
            raise ValueError(f"random_state must be from 0 to below 2**32, got {random_state}")
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
