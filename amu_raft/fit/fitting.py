"""Fit a method to pictures that a program holds: encode, train, choose, calibrate."""

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import check_backbone, load_clip
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY
from amu_raft.backbones.text_classifier import warn_of_indistinct_texts
from amu_raft.features.encoders import Encoders
from amu_raft.features.frozen import FrozenEncoders, LoaderSettings, memory_for_views
from amu_raft.features.pictures import Pictures, picture_transform
from amu_raft.features.store import FeatureStore, default_folder, library_versions
from amu_raft.features.training import TrainingFeatures
from amu_raft.features.views import FeatureBatches, derive_seed, seeded_randomness
from amu_raft.fit.settings import FitSettings
from amu_raft.fit.training_loop import start_method, train
from amu_raft.images.pixels import PixelRecipe
from amu_raft.isolation import num_cores, own_state
from amu_raft.methods import Branches, Features, Method
from amu_raft.methods.selection import Tuning, accuracy_percent
from amu_raft.model.building import Texts, build_method
from amu_raft.model.calibration import NOT_CALIBRATED, Calibration, calibration_of
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_folder import LoadedModel
from amu_raft.model.model_info import EncoderIdentity, ModelInfo

BATCH = 128  # pictures that are encoded together
MANY = 256  # files from which on a GPU waits for one process that reads them


@dataclass(frozen=True)
class Given:
    """Pictures and the numbers of their classes.

    Attributes:
        images: Paths, Pillow images or arrays.
        numbers: Class of each, from 0.
        places: Number of each in the list that the caller knows, for messages; None for their order here.
    """

    images: Sequence[Any]
    numbers: Sequence[int]
    places: Sequence[int] | None = None


@dataclass(frozen=True)
class Fitting:
    """What is to be fitted to what.

    Attributes:
        kind: The method.
        settings: How.
        training: Pictures to learn from, of every class.
        validation: Pictures to choose and to calibrate on; None if there are none.
        names: What the classes are called, in the order of their numbers.
        keys: What tells the classes apart.
        prompts: Sentences of each class.
        backbone: Name of a CLIP, or the path of a weight file.
        seed: Of order, augmentation and start.
        weights: Folder of official weight files, or one file.
        device: Where to train.
        data: What the model's record says of the pictures.
        say: Told what is being done, line by line.
    """

    kind: type[Method]
    settings: FitSettings
    training: Given
    validation: Given | None
    names: Sequence[str]
    keys: Sequence[str]
    prompts: list[list[str]]
    backbone: str
    seed: int
    weights: str | None
    device: torch.device
    data: dict[str, Any]
    say: Callable[[str], None]


def fit_model(fitting: Fitting) -> LoadedModel:
    """Fit and return the model; the process is afterwards as it was.

    Raises:
        OSError: If a picture, which the message names, cannot be read.
        ValueError: If something does not fit together.
        FloatingPointError: If training fails.
    """
    check_backbone(fitting.backbone)
    with own_state(fitting.settings.recipe.threads), ExitStack() as stack:
        _check_validation(fitting)
        return _Fit(fitting, stack).carry_out()


class _Fit:
    """One fit on its way."""

    def __init__(self, fitting: Fitting, stack: ExitStack) -> None:
        self.fitting, self.recipe = fitting, fitting.settings.recipe
        self.encoders = _load_encoders(fitting)
        side = self.encoders.backbone.input_resolution
        augment = picture_transform(side, tuple(self.recipe.augmentation), tuple(self.recipe.crop_scale))
        evaluate = picture_transform(side)
        given, held = fitting.training, fitting.validation
        self.augmented = Pictures(given.images, given.numbers, augment, given.places)
        plain = Pictures(given.images, given.numbers, evaluate, given.places)
        self.held = None if held is None else Pictures(held.images, held.numbers, evaluate, held.places)
        files = self.augmented.all_files and (self.held is None or self.held.all_files)
        self.store = _open_store(fitting.settings.others["store"], stack, worth_keeping=files)
        self.frozen = self._frozen(workers=_workers(fitting, files))
        self.training = TrainingFeatures(
            self.frozen, self.augmented, plain, seed=fitting.seed, num_views=self.recipe.num_views
        )
        self.tuning: Tuning | None = None

    def _frozen(self, *, workers: int) -> FrozenEncoders:
        device = self.fitting.device
        loader = LoaderSettings(BATCH, workers, device.type == "cuda")
        return FrozenEncoders(
            self.encoders.encode,
            self.encoders.identities(),
            device=device,
            store=self.store,
            loader=loader,
            dtypes={"maps": torch.float16},
        )

    def carry_out(self) -> LoadedModel:
        """Return the fitted model."""
        fitting, kind = self.fitting, self.fitting.kind
        texts = Texts(self.encoders, self.store, fitting.device)
        columns = texts.class_columns(fitting.prompts)
        warn_of_indistinct_texts(columns, fitting.names, fitting.backbone)
        method = build_method(
            kind,
            fitting.settings.method,
            self.encoders,
            texts,
            columns=columns,
            classnames=fitting.names,
            seed=fitting.seed,
        )
        if kind.learns != "nothing":
            self._learn(method)
        method.eval()
        if self.held is not None and method.chooses:
            self.tuning = method.choose(self.validation(method))
        calibration, metrics = self._measure(method)
        fitting.say(calibration.line if calibration.fitted_on else f"not calibrated: {calibration.note}")
        model = FewShotModel(self.encoders, method.requires_grad_(False), temperature=calibration.temperature)
        _let_go(method, self.encoders)
        return LoadedModel(model, self._info(method, calibration, metrics))

    def _learn(self, method: Method) -> None:
        """Start, and train where the method is trained by gradient."""
        start_method(method, self.training, self.fitting.seed)
        if method.learns != "gradient":
            return
        trained = method.trained.to(self.fitting.device)
        self.encoders.backbone.precision.cast_weights(trained)
        batches = self._batches()
        if self.held is not None and (
            line := method.choose_by_training(_Trials(self, method, batches), self.validation(method))
        ):
            self.fitting.say(line)
        best: tuple[float, Any] | None = None

        def after_epoch(done: int, loss: float) -> None:
            nonlocal best
            self.fitting.say(f"epoch {done}/{self.recipe.epochs}: loss {loss:.4f}")
            if self.fitting.settings.others["final_model"] == "best_val":
                found = self._accuracy(method)
                if best is None or found > best[0]:
                    best = found, copy.deepcopy(trained.state_dict())

        train(method, batches, self.recipe, seed=self.fitting.seed, after_epoch=after_epoch)
        if best is not None:
            trained.load_state_dict(best[1])

    def _batches(self) -> "FeatureBatches | _FreshBatches":
        if self.recipe.num_views is None:
            return _FreshBatches(self.augmented, self.encoders, self.fitting, self.recipe.batch_size)
        views = self.training.views_of(self.recipe.num_views)
        return FeatureBatches(
            views.views(memory=memory_for_views(self.fitting.device)),
            views.labels_of_images,
            num_views=self.recipe.num_views,
            batch_size=self.recipe.batch_size,
            seed=self.fitting.seed,
        )

    def _accuracy(self, method: Method) -> float:
        if method.chooses:
            method.choose(self.validation(method))
        branches, labels = self.validation(method)()
        return accuracy_percent(method.decide(branches), labels)

    def validation(self, method: Method) -> "_Validation":
        """The pictures that choices are made on."""
        return _Validation(self, method)

    def _measure(self, method: Method) -> tuple[Calibration, dict[str, Any]]:
        if self.held is None:
            return NOT_CALIBRATED, {}
        branches, labels = self.validation(method)()
        with torch.no_grad():
            decided = method.decide(branches)
        right = int((decided.argmax(dim=1) == labels).sum())
        accuracies = {name: accuracy_percent(logits, labels) for name, logits in branches.items()}
        about = {"split": "val", "total": len(labels), "correct": right, "accuracy": accuracy_percent(decided, labels)}
        zero_shot = {"zero_shot_accuracy": accuracies["zero_shot"], "branches": accuracies}
        return calibration_of(decided, labels), {**about, **zero_shot}

    def _info(self, method: Method, calibration: Calibration, metrics: dict[str, Any]) -> ModelInfo:
        fitting, backbone, aux = self.fitting, self.encoders.backbone, self.encoders.aux_encoder
        others = fitting.settings.others
        best = method.learns == "gradient" and others["final_model"] == "best_val"
        chosen = self.tuning is not None or best
        protocol = {"final_model": others["final_model"], "selected_on": "validation" if chosen else "none"}
        about = {
            "calibration": calibration.record(),
            **method.texts(),
            "data": {**fitting.data, "seed": fitting.seed},
            "protocol": {**protocol, "views": str(self.recipe.views), "oracle": False, **method.protocol()},
            **({"metrics": metrics} if metrics else {}),
            "versions": library_versions(),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        return ModelInfo(
            method=type(method).__name__,
            classnames=list(fitting.names),
            class_keys=list(fitting.keys),
            prompts=fitting.prompts,
            backbone=EncoderIdentity(backbone.name, backbone.sha256),
            precision=backbone.precision.name,
            layers=backbone.layers,
            aux_encoder=EncoderIdentity(aux.name, aux.sha256) if aux else None,
            recipe=PixelRecipe(backbone.input_resolution, "bicubic"),
            mean=tuple(self.encoders.statistics.mean.flatten().tolist()),
            std=tuple(self.encoders.statistics.std.flatten().tolist()),
            choices=method.kept_choices(),
            temperature=calibration.temperature,
            about=about,
        )


class _Validation:
    """Branches and features of the held pictures."""

    def __init__(self, fit: _Fit, method: Method) -> None:
        self.fit, self.method = fit, method

    @torch.no_grad()
    def __call__(self) -> tuple[Branches, Tensor]:
        """Return the method's branches, (N, C) each, and the labels (N,)."""
        self.method.eval()
        features, labels = self.features()
        branches = self.method.branches(features)
        for name, logits in branches.items():
            if not torch.isfinite(logits).all():
                raise FloatingPointError(f"{name} logits of the validation pictures are not finite")
        return branches, labels

    def features(self) -> tuple[Features, Tensor]:
        """Return the features that the method reads, and the labels (N,)."""
        stored = self.fit.frozen.features_of(self.fit.held, title="encode validation pictures")
        return {name: stored.load(name) for name in stored.entries}, stored.labels


class _Trials:
    """Training from the present start, as often as a method wants."""

    def __init__(self, fit: _Fit, method: Method, batches: Any) -> None:
        self.fit, self.method, self.batches = fit, method, batches
        self.start = copy.deepcopy(method.trained.state_dict())

    def train(self) -> None:
        """Train from the present start for all epochs."""
        of = self.fit
        train(self.method, self.batches, of.recipe, seed=of.fitting.seed, after_epoch=lambda done, loss: None)

    def reset(self) -> None:
        """Put the weights back to the start."""
        self.method.trained.load_state_dict(self.start)


class _FreshBatches:
    """Training batches whose pictures are augmented and encoded anew in every epoch."""

    def __init__(self, pictures: Pictures, encoders: Encoders, fitting: Fitting, batch_size: int) -> None:
        self.pictures, self.encoders, self.fitting = pictures, encoders, fitting
        self.batch_size, self.epoch = batch_size, 0

    def __len__(self) -> int:
        return -(-len(self.pictures) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass is."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        seed, device = self.fitting.seed, self.fitting.device
        order = torch.randperm(
            len(self.pictures), generator=torch.Generator().manual_seed(derive_seed(seed, self.epoch))
        )
        for chosen in order.split(self.batch_size):
            items = []
            for place in chosen.tolist():
                with seeded_randomness(derive_seed(seed, self.epoch, place)):
                    items.append(self.pictures[place])
            features = self.encoders.encode(torch.stack([item["img"] for item in items]).to(device))
            yield {**features, "label": torch.tensor([item["label"] for item in items], device=device)}


def _check_validation(fitting: Fitting) -> None:
    """Refuse before anything is encoded what validation pictures are wanted for, if there are none."""
    if fitting.validation is None:
        if fitting.kind.learns == "gradient" and fitting.settings.others["final_model"] == "best_val":
            raise ValueError("TEST.FINAL_MODEL best_val needs validation pictures; give some, or take last_step")
    elif not fitting.validation.images:
        raise ValueError("validation pictures are given, but there are none; leave them out")


def _load_encoders(fitting: Fitting) -> Encoders:
    others, kind = fitting.settings.others, fitting.kind
    weights, layers, device = fitting.weights, others["layers"], fitting.device
    backbone = load_clip(fitting.backbone, precision=others["precision"], device=device, weights=weights, layers=layers)
    aux = None
    if "aux" in kind.reads:
        aux = load_aux_encoder(fitting.settings.method.aux_encoder, weights=weights, layers=layers).to(device)
    normalised = "normalize" in fitting.settings.recipe.augmentation
    return Encoders(
        backbone,
        kind.reads,
        aux_encoder=aux,
        readers=kind.readers,
        statistics=CLIP_STATISTICS if normalised else IDENTITY,
    )


def _open_store(chosen: str, stack: ExitStack, *, worth_keeping: bool) -> FeatureStore:
    """Return the feature store; features of pictures that have no place of their own go with the fit."""
    if chosen != "off" and worth_keeping:
        return FeatureStore(Path(chosen).expanduser() if chosen else default_folder())
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="amu-raft-fit-", ignore_cleanup_errors=True))
    return FeatureStore(Path(folder))


def _workers(fitting: Fitting, files: bool) -> int:
    """Return how many processes read pictures: on a CPU the encoder is what takes long."""
    many = files and len(fitting.training.images) > MANY and fitting.device.type == "cuda"
    return min(8, num_cores()) if many else 0


def _let_go(method: Method, encoders: Encoders) -> None:
    """Let go of what only a fit needs: gradients, and the tower for texts, half of a small CLIP."""
    method.zero_grad()
    method.task = replace(method.task, text_rows=None)
    for part in ("transformer", "token_embedding"):
        setattr(encoders.backbone.model, part, torch.nn.Identity())
