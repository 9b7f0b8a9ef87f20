"""AMU-Tuning: frozen CLIP plus a linear classifier on auxiliary features, fused by CLIP's uncertainty.

Source: AMU-Tuning: Effective Logit Bias for CLIP-based Few-shot Learning (CVPR 2024). Where paper and released code
differ see docs/fidelity.md.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.preprocess import CLIP_STATISTICS, ChannelStatistics
from amu_raft.features.extraction import Features
from amu_raft.features.views import derive_seed
from amu_raft.methods.amu.adapter import (
    INITIALIZATIONS,
    Adapter,
    KnownClasses,
    average_views,
    initial_weight,
    match_classes,
)
from amu_raft.methods.amu.fusion import UNCERTAINTY_KINDS, amu_logits, uncertainty_weight
from amu_raft.methods.amu.tuning import FusionSettings
from amu_raft.methods.raft.losses import amu_loss
from amu_raft.methods.schedules import cosine_table
from amu_raft.model.few_shot_model import AMUHead, Head
from dassl.engine import TRAINER_REGISTRY
from datasets.classes import CLASSES_FILE, class_keys, read_class_keys
from trainers.amu_tuning import AMUTuner, add_tuning_keys, check_tuning, configured_fusion
from trainers.few_shot import Branches, FewShotTrainer, add_shared_keys, batch_accuracy, common_settings


def extend_cfg(cfg: CfgNode) -> None:
    """Attach AMU's keys with the values of its paper and released code."""
    add_shared_keys(cfg)
    node = cfg.TRAINER.AMU = common_settings()
    node.AUX_ENCODER = "mocov3_rn50"  # a name of amu_raft.backbones.aux_encoder, or the path of a ResNet checkpoint
    node.FUSION_ALPHA = 0.5  # alpha
    node.LOSS_LAMBDA = 0.35  # lambda, the share of the fused loss
    node.UNCERTAINTY = "kurtosis"  # a kind of amu_raft.methods.amu.fusion; the released command lines run with "none"
    node.UNCERTAINTY_POWER = 0.4
    node.STANDARDIZE_AUX = True  # released form; False takes the adapter's logits as they are, the paper's form
    node.INIT = "class_mean"  # class_mean, released, random
    node.AUGMENT_EPOCH = 1  # augmented passes that the initial class means are averaged over
    add_tuning_keys(node)


@TRAINER_REGISTRY.register()
class AMU(FewShotTrainer):
    """AMU-Tuning: logits s = s0 + alpha * u(s0) * s_aux; only the linear map to s_aux is trained.

    Attributes:
        known_classes: Which classes of the data set the adapter was trained on; None: just these, in this order.
        trained_fusion: The fusion in the training loss, as configured.
        fusion: The fusion that decides; another one only if it was chosen on validation images.
        loss_lambda: lambda, the share of the fused loss.
    """

    known_classes: KnownClasses | None = None

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse unknown names before anything is loaded."""
        super().check_cfg(cfg)
        for key, accepted in (("UNCERTAINTY", UNCERTAINTY_KINDS), ("INIT", INITIALIZATIONS)):
            if self.settings[key] not in accepted:
                raise ValueError(f"unknown TRAINER.AMU.{key} {self.settings[key]!r}; choose from {', '.join(accepted)}")
        if self.settings.AUGMENT_EPOCH < 1:
            raise ValueError(f"TRAINER.AMU.AUGMENT_EPOCH must be at least 1, got {self.settings.AUGMENT_EPOCH}")
        check_tuning(self.settings, self.num_views)
        self.fusion = self.trained_fusion = configured_fusion(self.settings)
        self.loss_lambda = float(self.settings.LOSS_LAMBDA)
        self.tuner = AMUTuner(self)

    def build_method(self) -> None:
        """Load the auxiliary encoder and register the adapter; its weight comes with the first training images."""
        self.aux_encoder = load_aux_encoder(
            self.settings.AUX_ENCODER,
            weights=self.cfg.MODEL.WEIGHTS or None,
            layers=self.cfg.MODEL.ENCODER_LAYERS,
        )
        self.aux_encoder.to(self.device)
        self.aux_statistics = ChannelStatistics(self.aux_encoder.mean, self.aux_encoder.std)
        self.adapter = Adapter(torch.zeros(self.num_classes, self.aux_encoder.feature_dim))
        rates = cosine_table(self.cfg.OPTIM.LR, total_steps=self.max_epoch * self.steps_per_epoch)
        self.register_trained("adapter", self.adapter, rates)

    def start_method(self) -> None:
        """Set the adapter to the class means of the training images' auxiliary features, and choose lambda if asked."""
        self.known_classes = None
        passes = self.settings.AUGMENT_EPOCH
        # The views that are trained on, where they suffice.
        views = self.train_views(max(passes, self.num_views or 1), names=("aux",))
        labels = views.labels_of_images
        raw = views.load("aux", passes * len(labels)).unflatten(0, (passes, len(labels)))
        generator = torch.Generator().manual_seed(derive_seed(self.cfg.SEED))
        weight = initial_weight(
            average_views(raw), labels, self.num_classes, how=self.settings.INIT, generator=generator
        )
        with torch.no_grad():
            self.adapter.fc.weight.copy_(weight)
        self.loss_lambda = self.tuner.choose_loss_weight()

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load an adapter from a run folder; it may have been trained on other classes than the data set's.

        Its rows are matched to the data set's classes by the keys in the folder's classes.json. Without that file they
        are taken for the data set's classes in order.

        Raises:
            ValueError: If there is no such file and the number of rows is not that of the classes.
        """
        trained = read_class_keys(directory) if directory else None
        self.adapter.set_rows(self.num_classes if trained is None else len(trained))
        try:
            super().load_model(directory, epoch)
        except RuntimeError as error:
            if trained is not None:
                raise
            raise ValueError(
                f"{directory} has no {CLASSES_FILE} that says which classes its adapter knows, "
                f"so it must fit the {self.num_classes} classes of the data set: {error}"
            ) from error
        present = class_keys(self.dm.dataset)
        self.known_classes = None if trained is None or trained == present else match_classes(trained, present)
        if directory:
            self._say_what_is_known(directory, trained is not None)

    def _say_what_is_known(self, directory: str, stated: bool) -> None:
        unknown = self.num_classes - self.num_known
        decides = f": zero-shot CLIP decides{' the others' if self.num_known else ''}" if unknown else ""
        print(f"adapter knows {self.num_known} of {self.num_classes} classes{decides}")
        if not stated:
            print(
                f"{directory} has no {CLASSES_FILE}: the adapter's rows are taken for the data set's classes in order"
            )

    @property
    def num_known(self) -> int:
        """Number of classes of the data set that the adapter was trained on."""
        return self.num_classes if self.known_classes is None else len(self.known_classes.labels)

    def identities(self) -> dict[str, dict[str, Any]]:
        """Add the auxiliary encoder's identity."""
        aux = self.aux_encoder
        identity = {"name": aux.name, "sha256": aux.sha256, "precision": self.settings.PREC}
        return {**super().identities(), "aux": identity}

    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """One image, two encoders, each with its own normalisation."""
        features = {}
        if names is None or "clip" in names:
            features["clip"] = self.backbone.encode_image(self.pixels_for(images, CLIP_STATISTICS))
        if names is None or "aux" in names:
            with torch.no_grad(), self.precision.autocast(self.device):
                features["aux"] = self.aux_encoder(self.pixels_for(images, self.aux_statistics)).float()
        return features

    def branch_logits(self, features: Features) -> Branches:
        """Zero-shot, auxiliary and fused logits; no auxiliary ones if the adapter knows none of the classes."""
        logits = self._fused(features, self.fusion)
        return logits if self.num_known else {name: logits[name] for name in ("zero_shot", "fused")}

    def _fused(self, features: Features, fusion: FusionSettings) -> Branches:
        return amu_logits(
            features["clip"],
            features["aux"],
            self.text_weights,
            self.adapter,
            logit_scale=self.backbone.logit_scale,
            fusion_alpha=fusion.fusion_alpha,
            kind=fusion.uncertainty,
            power=fusion.uncertainty_power,
            standardize=self.settings.STANDARDIZE_AUX,
            known=self.known_classes,
        )._asdict()

    def decide(self, branches: Branches) -> Tensor:
        """The fused logits decide."""
        return branches["fused"]

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """Train on one batch: loss = lambda * CE(s, y) + (1 - lambda) * CE(s_aux, y)."""
        features, labels = self.parse_batch_train(batch)
        logits = self._fused(features, self.trained_fusion)
        loss = amu_loss(logits["fused"], logits["aux"], labels, fused_weight=self.loss_lambda)
        self.descend(loss.total)
        return {
            "loss": loss.total.item(),
            "loss_fused": loss.fused.item(),
            "loss_aux": loss.aux.item(),
            "acc": batch_accuracy(logits["fused"], labels),
        }

    def before_test(self, split: str) -> None:
        """Choose alpha, uncertainty kind and power from logits of validation images, if TUNE asks for it."""
        self.tuning = self.tuner.choose_fusion()
        if self.tuning is not None:
            self.fusion = FusionSettings(*(self.tuning.chosen[name] for name in FusionSettings._fields))

    def settings_chosen(self) -> bool:
        """Tell whether settings were chosen now, or with the model that is evaluated."""
        return super().settings_chosen() or self.settings.TUNE == "kept"

    def inference_head(self) -> Head:
        """Return the adapter and the fusion that decides."""
        return AMUHead(
            self.text_weights,
            self.adapter.fc.weight.detach(),
            **self.fusion._asdict(),
            standardize=self.settings.STANDARDIZE_AUX,
            known=self.known_classes,
        )

    def method_outcome(self) -> dict[str, Any]:
        """Record how the branches were fused, and for how many classes there was anything to fuse."""
        return {
            **self.fusion._asdict(),
            "loss_lambda": self.loss_lambda,
            "known_classes": self.num_known,
            "num_classes": self.num_classes,
        }

    def describe_images(self, branches: Branches) -> dict[str, Tensor]:
        """Add the uncertainty weight, and the class that the auxiliary logits alone would choose."""
        blocks = branches["zero_shot"].split(self.cfg.DATALOADER.TEST.BATCH_SIZE)  # as ``branch_logits`` weighs them
        weights = [
            uncertainty_weight(block, kind=self.fusion.uncertainty, power=self.fusion.uncertainty_power)
            for block in blocks
        ]
        columns = {**super().describe_images(branches), "weight": torch.cat(weights).squeeze(1).cpu()}
        if "aux" in branches:
            columns["aux_prediction"] = branches["aux"].argmax(dim=1).int().cpu()
        return columns
