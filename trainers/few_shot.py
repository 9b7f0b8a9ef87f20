"""What the few-shot trainers share: a frozen CLIP, its texts, encoded images, evaluation by branches."""

import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from yacs.config import CfgNode

from amu_raft.backbones.clip_backbone import check_backbone, load_clip
from amu_raft.backbones.encoder_layers import ENCODER_LAYERS
from amu_raft.backbones.precision import Precision
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, ChannelStatistics, renormalize
from amu_raft.backbones.text_classifier import build_text_classifier
from amu_raft.features.extraction import Features, merge_batches, progress
from amu_raft.features.frozen import FrozenEncoders, FrozenFeatures, LoaderSettings, memory_for_views
from amu_raft.features.texts import stored_text_features
from amu_raft.features.views import FeatureBatches, derive_seed, parse_views
from amu_raft.methods.schedules import TableScheduler
from amu_raft.methods.selection import Tuning, accuracy_percent
from amu_raft.model.few_shot_model import Head
from amu_raft.model.top_classes import top_classes
from dassl.engine import TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_optimizer
from dassl.utils import MetricMeter, set_random_seed
from datasets.class_names import note_shared_names
from datasets.classes import write_classes
from datasets.validation import VALIDATION_CHOICES, has_own_validation, validation_facts
from trainers.prompts import check_prompt_source, choose_prompts, warn_of_indistinct_texts
from trainers.stores import MAPS_TYPES, check_feature_settings, code_of, feature_settings, open_store

FINAL_MODELS = ("last_step", "best_val", "best_test")
SPLITS = ("val", "test")
Branches = dict[str, Tensor]


def common_settings() -> CfgNode:
    """Return the configuration keys that every method has."""
    node = CfgNode()
    node.PREC = "fp32"  # fp32, amp, fp16
    node.PROMPTS = "templates"  # templates: the data set's own; imagenet7; gpt3: its file of sentences; or a JSON file
    return node


def add_shared_keys(cfg: CfgNode) -> None:
    """Attach the keys that the trainers read beside their own node."""
    cfg.TRAIN.VIEWS = "online"  # "online": fresh augmentation every epoch; K: that many views per image, encoded once
    cfg.TRAIN.NUM_THREADS = 0  # CPU threads of torch; 0 is torch's own choice. Tiny models are fastest on one
    cfg.OPTIM.ADAM_EPS = 1e-4  # both released code bases; the toolbox has no key for it
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    cfg.DATASET.TEMPLATES = ()  # sentences with "{}" for the class, instead of the data set's own
    cfg.DATASET.VALIDATION = VALIDATION_CHOICES[0]  # coop: min(shots, 4) images per class; full: the whole split
    cfg.FEATURES = feature_settings()
    cfg.TEST.KEEP_PREDICTIONS = True  # keep what the final evaluation made of every image, for plots and the report
    cfg.TEST.FIGURES = True  # draw it for TensorBoard as well: a second or less at the end of a run
    cfg.MODEL.WEIGHTS = ""  # folder or file of official weights, for machines without a network
    cfg.MODEL.ENCODER_LAYERS = "folded"  # "plain" runs residual encoders as released: the same numbers, slower


class FewShotTrainer(TrainerX):  # type: ignore[misc]
    """Base of trainers that adapt a frozen CLIP from a few images per class.

    A subclass says how images are encoded (``encode``), which logits follow from the features
    (``branch_logits``), which of them decide (``decide``), and what is trained (``build_method``,
    ``forward_backward``).

    Attributes:
        trains: Whether the method has anything to train; False needs no training images.
        tuning: Settings that were chosen on images beside the epoch, and how; None if none were.
        outcome: What the last evaluation found beyond the evaluator's figures: accuracy of every branch in percent,
            the protocol, and the method's own numbers.
        image_outcome: The same image by image: columns (N, ...) by name, see ``experiments.results.predictions``.
    """

    trains = True
    settings: CfgNode
    train_loader_x: Any
    dm: Any
    tuning: Tuning | None = None
    outcome: dict[str, Any]
    image_outcome: dict[str, Tensor]

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse settings that the method cannot honour, before anything is loaded."""
        self.settings = cfg.TRAINER[type(self).__name__.upper()]
        self.precision = Precision(self.settings.PREC)
        self.num_views = parse_views(cfg.TRAIN.VIEWS)
        check_backbone(cfg.MODEL.BACKBONE.NAME)
        if cfg.MODEL.ENCODER_LAYERS not in ENCODER_LAYERS:
            raise ValueError(
                f"unknown MODEL.ENCODER_LAYERS {cfg.MODEL.ENCODER_LAYERS!r}; choose from {', '.join(ENCODER_LAYERS)}"
            )
        check_prompt_source(self.settings.PROMPTS, cfg.DATASET.TEMPLATES)
        check_feature_settings(cfg.FEATURES)
        self.outcome = {}
        if cfg.OPTIM.MAX_EPOCH < 1:
            raise ValueError(f"OPTIM.MAX_EPOCH must be at least 1, got {cfg.OPTIM.MAX_EPOCH}")
        for key, accepted in (("FINAL_MODEL", FINAL_MODELS), ("SPLIT", SPLITS)):
            if cfg.TEST[key] not in accepted:
                raise ValueError(f"unknown TEST.{key} {cfg.TEST[key]!r}; choose from {', '.join(accepted)}")
        if cfg.INPUT.NO_TRANSFORM or cfg.DATALOADER.K_TRANSFORMS != 1:
            raise ValueError(
                "INPUT.NO_TRANSFORM must be False and DATALOADER.K_TRANSFORMS 1: "
                "the encoders take one tensor an image; TRAIN.VIEWS gives several views"
            )

    # ------------------------------------------------------------------------------------------------ construction

    def build_model(self) -> None:
        """Load CLIP, build its text classifier, then what the method trains; what can be refused is refused first."""
        self.classnames = list(self.dm.dataset.classnames)
        if len(self.classnames) != self.num_classes:
            raise ValueError(
                f"labels go up to {self.num_classes - 1} but only {len(self.classnames)} classes have images"
            )
        self.prompts = prompts = self.class_prompts()
        note_shared_names(self.cfg.DATASET.NAME, self.dm.dataset.lab2cname)
        self.backbone = load_clip(
            self.cfg.MODEL.BACKBONE.NAME,
            precision=self.settings.PREC,
            device=self.device,
            weights=self.cfg.MODEL.WEIGHTS or None,
            layers=self.cfg.MODEL.ENCODER_LAYERS,
        )
        self._check_input_size()
        self.pixel_statistics = _pixel_statistics(self.cfg)
        self.store = open_store(self.cfg.FEATURES)
        columns = self.text_features(
            "class columns",
            prompts,
            lambda: build_text_classifier(self.backbone, prompts).t(),
            num_rows=len(prompts),
        )
        # Classes along the last axis in memory too: another layout would change the last digits of products.
        self.text_weights = columns.t().contiguous()
        warn_of_indistinct_texts(self.text_weights, self.classnames, self.cfg.MODEL.BACKBONE.NAME)
        self.build_method()
        self.encoders = self._frozen_encoders()

    @abstractmethod
    def build_method(self) -> None:
        """Build and register what is trained."""

    def class_prompts(self) -> list[list[str]]:
        """Return the prompts of each class, as TRAINER.*.PROMPTS asks."""
        return choose_prompts(self.settings.PROMPTS, self.dm.dataset, self.cfg)

    def register_trained(self, name: str, module: nn.Module, rates: list[float]) -> None:
        """Register a module with its optimiser and the learning rate of every iteration."""
        if self.cfg.OPTIM.LR_SCHEDULER != "cosine":
            raise ValueError(
                f"OPTIM.LR_SCHEDULER {self.cfg.OPTIM.LR_SCHEDULER!r} is not one that {type(self).__name__} has; "
                "its rates follow cosine, iteration by iteration"
            )
        module.to(self.device, self.precision.weight_dtype)
        # One pass over weights and moments where Adam's plain loop takes nine: half of a step of RAFT on a CPU.
        groups = [{"params": list(module.parameters()), "eps": self.cfg.OPTIM.ADAM_EPS, "fused": True}]
        self.optim = build_optimizer(module, self.cfg.OPTIM, param_groups=groups)
        self.sched = TableScheduler(self.optim, rates)
        self.scaler = self.precision.gradient_scaler(self.device)
        self.register_model(name, module, self.optim, self.sched)

    @property
    def steps_per_epoch(self) -> int:
        """Number of training batches; a short last one counts, as in the released code."""
        images, batch_size = len(self.dm.dataset.train_x), self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE
        return -(-images // int(batch_size))

    def _check_input_size(self) -> None:
        side, size = self.backbone.input_resolution, tuple(self.cfg.INPUT.SIZE)
        if size != (side, side):
            raise ValueError(
                f"INPUT.SIZE {size} does not fit backbone {self.backbone.name!r}, whose input is ({side}, {side})"
            )

    # ---------------------------------------------------------------------------------------------------- features

    @abstractmethod
    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """Encode a batch of images, as the loaders give them, to frozen features by name: those asked for, or all."""

    def identities(self) -> dict[str, dict[str, Any]]:
        """Return what tells the encoder of each feature from others, so that stored features are never mistaken.

        A trainer that encodes to another feature than the ones here gives it a name and an identity of its own: the
        name and checksum of the weights, the precision, and every setting that its numbers depend on.
        """
        return {"clip": self.clip_identity()}

    def clip_identity(self) -> dict[str, Any]:
        """Return what tells this CLIP from others."""
        backbone = self.backbone
        return {"name": backbone.name, "sha256": backbone.sha256, "precision": self.settings.PREC}

    @abstractmethod
    def branch_logits(self, features: Features) -> Branches:
        """Return the logits (N, C) of every branch by name; "zero_shot" is always among them."""

    @abstractmethod
    def decide(self, branches: Branches) -> Tensor:
        """Return the logits (N, C) that decide."""

    def pixels_for(self, images: Tensor, target: ChannelStatistics) -> Tensor:
        """Carry a batch from the loaders' normalisation to an encoder's."""
        return renormalize(images, self.pixel_statistics, target)

    def text_features(
        self, kind: str, prompts: list[list[str]], compute: Callable[[], Tensor], *, num_rows: int
    ) -> Tensor:
        """Return text features (num_rows, D) of prompts from the store, computed first if they are not there."""
        return stored_text_features(
            self.store,
            self.clip_identity(),
            prompts,
            kind=kind,
            num_rows=num_rows,
            device=self.device,
            compute=compute,
        )

    def _frozen_encoders(self) -> FrozenEncoders:
        loading = self.cfg.DATALOADER
        # What the loaders normalise by decides how ``pixels_for`` changes an image before it is encoded.
        pixels = [self.pixel_statistics.mean.flatten().tolist(), self.pixel_statistics.std.flatten().tolist()]
        layers = self.cfg.MODEL.ENCODER_LAYERS
        common = {"pixels": pixels, "layers": layers, "code": code_of(type(self).encode)}
        return FrozenEncoders(
            self.encode,
            {name: {**identity, **common} for name, identity in self.identities().items()},
            device=self.device,
            store=self.store,
            loader=LoaderSettings(loading.TEST.BATCH_SIZE, loading.NUM_WORKERS, self.device.type == "cuda"),
            dtypes={"maps": MAPS_TYPES[self.cfg.FEATURES.MAPS_PREC]},
            strict=self.cfg.FEATURES.STRICT,
        )

    def train_views(self, num_views: int, *, names: Collection[str] | None = None) -> FrozenFeatures:
        """Return features of augmented views of the training images, (V * N, ...) each, view after view.

        Args:
            num_views: V.
            names: Features to return; all if not given.
        """
        return self.encoders.views_of(
            self.dm.train_loader_x.dataset,
            num_views=num_views,
            seed=self.cfg.SEED,
            title=f"encode {num_views} views",
            names=names,
        )

    # ---------------------------------------------------------------------------------------------------- training

    def before_train(self) -> None:
        """Choose the training batches, start the method from them, then resume if there is something to resume.

        Raises:
            ValueError: If an epoch is to be chosen on validation images and there are none, or a checkpoint is of a
                later epoch than the last.
        """
        if self.cfg.TEST.FINAL_MODEL == "best_val" and self.get_model_names() and self.selection_images is None:
            raise ValueError("TEST.FINAL_MODEL best_val needs validation images that are not the test images")
        if self.cfg.TEST.FINAL_MODEL == "best_test":
            print(
                "TEST.FINAL_MODEL best_test: whatever is chosen is chosen on TEST labels; the figures are an oracle's"
            )
        if self.get_model_names():
            write_classes(self.dm.dataset, self.cfg.OUTPUT_DIR)
            self._choose_batches()
            self.start_method()
        super().before_train()
        if self.start_epoch > self.max_epoch and self.get_model_names():
            raise ValueError(
                f"the checkpoint to resume from is of epoch {self.start_epoch}, beyond OPTIM.MAX_EPOCH {self.max_epoch}"
            )

    def _choose_batches(self) -> None:
        if self.num_views is None:
            self.train_loader_x = _keep_short_batch(self.train_loader_x)
            return
        views = self.train_views(self.num_views)
        self.train_loader_x = FeatureBatches(
            views.views(memory=memory_for_views(self.device)),
            views.labels_of_images,
            num_views=self.num_views,
            batch_size=self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
            seed=self.cfg.SEED,
        )

    def start_method(self) -> None:
        """Initialise what is trained from the training features; nothing by default."""

    def before_epoch(self) -> None:
        """Make the epoch's order and augmentation depend on seed and epoch alone, so that resumed runs go on alike."""
        if isinstance(self.train_loader_x, FeatureBatches):
            self.train_loader_x.set_epoch(self.epoch)
        elif self.cfg.SEED >= 0:
            set_random_seed(derive_seed(self.cfg.SEED, self.epoch))

    def run_epoch(self) -> None:
        """Train one epoch and print one line about it."""
        self.set_model_mode("train")
        self.num_batches = len(self.train_loader_x)
        metrics, started = MetricMeter(), time.perf_counter()
        title = f"epoch {self.epoch + 1}/{self.max_epoch}"
        rate = self.get_current_lr()
        for self.batch_idx, batch in enumerate(progress(self.train_loader_x, title)):  # noqa: B020  the toolbox's name
            metrics.update(self.forward_backward(batch))
        for name, meter in metrics.meters.items():
            self.write_scalar(f"train/{name}", meter.avg, self.epoch)
        self.write_scalar("train/lr", rate, self.epoch)
        averages = " ".join(f"{name} {round(meter.avg, 4) + 0.0:.4f}" for name, meter in metrics.meters.items())
        print(
            f"epoch [{self.epoch + 1}/{self.max_epoch}] {averages} lr {rate:.4e} "
            f"time {time.perf_counter() - started:.2f}s"
        )

    def parse_batch_train(self, batch: dict[str, Any]) -> tuple[Features, Tensor]:  # type: ignore[override]
        """Return a training batch's features and labels, encoding images unless they are encoded already."""
        labels = batch["label"].to(self.device)
        if "img" in batch:
            return self.encode(batch["img"].to(self.device)), labels
        return {name: values for name, values in batch.items() if name != "label"}, labels

    def descend(self, loss: Tensor) -> None:
        """Do one optimiser step, then one step of the schedule."""
        self.detect_anomaly(loss)
        self.model_zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optim)
        self.scaler.update()
        self.update_lr()

    def detect_anomaly(self, loss: Tensor) -> None:
        """Stop the run at a loss that is not finite, naming the step.

        Raises:
            FloatingPointError: With epoch and batch, counted from 1.
        """
        if not torch.isfinite(loss).all():
            raise FloatingPointError(
                f"loss is {loss.item()} at epoch {self.epoch + 1}, batch {self.batch_idx + 1}; "
                "try a smaller OPTIM.LR or TRAINER precision fp32"
            )

    # --------------------------------------------------------------------------------------------------- selection

    @cached_property
    def selection_images(self) -> tuple[str, Any] | None:
        """Name and loader of the images that settings and epochs are chosen on.

        These are validation images; None if there are none that are not test images. Only TEST.FINAL_MODEL best_test
        asks for test images, for comparison with figures that were chosen so.
        """
        if self.cfg.TEST.FINAL_MODEL == "best_test":
            return "test", self.test_loader
        return ("val", self.val_loader) if has_own_validation(self.dm.dataset) else None

    @property
    def chosen_on(self) -> str:
        """What a choice is made on, as the record says it."""
        return "test" if self.cfg.TEST.FINAL_MODEL == "best_test" else "validation"

    def settings_chosen(self) -> bool:
        """Tell whether settings of the method, beside the epoch, were chosen on images."""
        return self.tuning is not None

    # -------------------------------------------------------------------------------------------------- evaluation

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate on a split and keep the accuracy of every branch in ``outcome``.

        Args:
            split: "val" or "test"; TEST.SPLIT if not given. Without validation images "val" is "test", as upstream.

        Returns:
            Accuracy in percent.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = split or self.cfg.TEST.SPLIT
        split, loader = ("val", self.val_loader) if split == "val" and self.val_loader else ("test", self.test_loader)
        self.before_test(split)
        print(f"Evaluate on the *{split}* set")
        branches, labels = self.collect_branches(split, loader)
        self.evaluator.process(self.decide(branches), labels)
        results = self.evaluator.evaluate()
        accuracies = {name: accuracy_percent(logits, labels) for name, logits in branches.items()}
        for name, value in [*results.items(), *((f"accuracy_{name}", value) for name, value in accuracies.items())]:
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        print(" ".join(f"{name} {value:.2f}%" for name, value in accuracies.items()))
        self.outcome = {
            "split": split,
            "branches": accuracies,
            "zero_shot_accuracy": accuracies["zero_shot"],
            "protocol": self.protocol(),
            **self._tuning_record(),
            **self.method_outcome(),
        }
        self.image_outcome = self.describe_images(branches) if self.cfg.TEST.KEEP_PREDICTIONS else {}
        return float(next(iter(results.values())))

    def before_test(self, split: str) -> None:
        """Choose what is chosen on ``selection_images``; nothing by default."""

    def collect_branches(self, split: str, loader: Any) -> tuple[Branches, Tensor]:
        """Return the logits of every branch over a split, (N, C) each, and the labels (N,)."""
        features = self.encoders.features_of(loader.dataset, title=f"encode {split}")
        batches = features.batches(self.cfg.DATALOADER.TEST.BATCH_SIZE)
        merged, labels = merge_batches([(self.branch_logits(batch), labels) for batch, labels in batches])
        for name, logits in merged.items():
            if not torch.isfinite(logits).all():
                raise FloatingPointError(f"{name} logits of the {split} images are not finite; the model is damaged")
        return merged, labels

    def inference_head(self) -> Head | None:
        """Return what the method adds to the frozen encoders, so that it can be used without the toolbox.

        None by default: a method of one's own is used through its trainer.
        """
        return None

    def validation_logits(self) -> tuple[Tensor, Tensor] | None:
        """Return the deciding logits (N, C) of the validation images and their labels; None if there are none."""
        if not has_own_validation(self.dm.dataset):
            return None
        self.set_model_mode("eval")
        with torch.no_grad():
            branches, labels = self.collect_branches("val", self.val_loader)
            return self.decide(branches), labels

    def model_inference(self, images: Tensor) -> Tensor:
        """Return the deciding logits (N, C) of images as the loaders give them."""
        return self.decide(self.branch_logits(self.encode(images)))

    def protocol(self) -> dict[str, Any]:
        """Say how the model and its numbers were chosen."""
        epoch_chosen = self.cfg.TEST.FINAL_MODEL != "last_step" and bool(self.get_model_names())
        selected_on = self.chosen_on if epoch_chosen or self.settings_chosen() else "none"
        return {
            "final_model": self.cfg.TEST.FINAL_MODEL,
            "selected_on": selected_on,
            "views": self.cfg.TRAIN.VIEWS,
            "oracle": selected_on == "test",
            **self._validation_facts,
        }

    @cached_property
    def _validation_facts(self) -> dict[str, Any]:
        return validation_facts(self.dm.dataset, self.cfg.DATASET.NUM_SHOTS)

    def _tuning_record(self) -> dict[str, Any]:
        if self.tuning is None:
            return {}
        return {"tuning": self.tuning.record(on=self.chosen_on, method=type(self).__name__)}

    def method_outcome(self) -> dict[str, Any]:
        """Return the method's own numbers for the record."""
        return {}

    def describe_images(self, branches: Branches) -> dict[str, Tensor]:
        """Return what is recorded of each image beside the logits that decide: columns (N, ...) by name, on the CPU."""
        zero_shot = top_classes(branches["zero_shot"])
        return {"zero_shot_top5": zero_shot.labels, "zero_shot_probabilities": zero_shot.probabilities}

    def attention_of(self, images: Any, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return attention maps (len(rows), h, w) of some images of a data set by the names of ``experiments.results.attention``.

        Empty by default: a method that attends to nothing of its own has nothing to show.
        """
        return {}


def batch_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return top-1 accuracy of a batch in percent."""
    return float(compute_accuracy(logits.detach(), labels)[0].item())


def _pixel_statistics(cfg: CfgNode) -> ChannelStatistics:
    if "normalize" not in cfg.INPUT.TRANSFORMS:
        return IDENTITY
    given = ChannelStatistics(tuple(cfg.INPUT.PIXEL_MEAN), tuple(cfg.INPUT.PIXEL_STD))
    return CLIP_STATISTICS if given.same_as(CLIP_STATISTICS) else given


def _keep_short_batch(loader: Any) -> Any:
    """Keep the last batch of an epoch when it is short: at one shot the toolbox would drop a fifth of ten images."""
    if not loader.drop_last:
        return loader
    return DataLoader(
        loader.dataset,
        batch_size=loader.batch_size,
        sampler=loader.sampler,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
    )
