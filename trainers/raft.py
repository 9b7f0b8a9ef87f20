"""RAFT: frozen CLIP whose copied attention pooling learns which image regions matter.

Source: Region Attention Fine-tuning with CLIP for Few-shot Classification (ICME 2024). Where paper and released code
differ see docs/fidelity.md.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from amu_raft.backbones.clip_backbone import check_attention_pooling
from amu_raft.backbones.preprocess import CLIP_STATISTICS
from amu_raft.backbones.text_classifier import BACKGROUND_TEMPLATE, build_background_column, fill_templates
from amu_raft.features.extraction import Features
from amu_raft.methods.raft.alpha_search import ALPHA_RULES, mix_logits, search_alpha
from amu_raft.methods.raft.attention_maps import attention_maps
from amu_raft.methods.raft.losses import RegionLogits, raft_loss, region_logits
from amu_raft.methods.raft.region_attention import POOLINGS, RegionAttention
from amu_raft.methods.schedules import released_order, warmup_cosine_table
from amu_raft.model.few_shot_model import Head, RAFTHead
from dassl.engine import TRAINER_REGISTRY
from trainers.few_shot import Branches, FewShotTrainer, add_shared_keys, batch_accuracy, common_settings

SCHEDULES = ("warmup_cosine", "released")


def extend_cfg(cfg: CfgNode) -> None:
    """Attach RAFT's keys with the values of its released scripts."""
    add_shared_keys(cfg)
    node = cfg.TRAINER.RAFT = common_settings()
    node.LAMBDA1 = 0.1  # weight of the difference between class and background vectors
    node.LAMBDA2 = 0.5  # weight of the consistency with CLIP's logits; 1.0 on ImageNet
    node.TAU1 = 2.0  # temperature of the class loss
    node.TAU2 = 3.0  # temperature of the background loss
    node.POOLING = "folded"  # "plain" lets every region attend, as released: the same numbers, several times slower
    node.SCHEDULE = "warmup_cosine"  # "released" comes one step late, see docs/fidelity.md
    node.FINAL_LR = 1e-6
    node.ALPHA_RULE = "one_standard_error"  # one_standard_error, first_best (released), fixed
    node.FUSION_ALPHA = 1.0  # alpha for the rule "fixed" and where there are no validation images
    node.ALPHA_STEPS = 50  # intervals of the grid between 0 and 1


@TRAINER_REGISTRY.register()
class RAFT(FewShotTrainer):
    """RAFT: logits s = alpha * region + (1 - alpha) * zero-shot; only the copied pooling is trained."""

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse unknown names before anything is loaded."""
        super().check_cfg(cfg)
        for key, accepted in (
            ("POOLING", POOLINGS),
            ("SCHEDULE", SCHEDULES),
            ("ALPHA_RULE", (*ALPHA_RULES, "fixed")),
        ):
            if self.settings[key] not in accepted:
                raise ValueError(
                    f"unknown TRAINER.RAFT.{key} {self.settings[key]!r}; choose from {', '.join(accepted)}"
                )
        if not 0 <= self.settings.FUSION_ALPHA <= 1:
            raise ValueError(f"TRAINER.RAFT.FUSION_ALPHA must lie in [0, 1], got {self.settings.FUSION_ALPHA}")
        if cfg.OPTIM.WARMUP_EPOCH > cfg.OPTIM.MAX_EPOCH:
            raise ValueError(
                f"OPTIM.WARMUP_EPOCH {cfg.OPTIM.WARMUP_EPOCH} is longer than OPTIM.MAX_EPOCH {cfg.OPTIM.MAX_EPOCH}; "
                "shorten the warm-up too"
            )
        check_attention_pooling(cfg.MODEL.BACKBONE.NAME)
        self.fusion_alpha = float(self.settings.FUSION_ALPHA)

    def build_method(self) -> None:
        """Copy CLIP's attention pooling and register the copy."""
        self.region_attention = RegionAttention(self.backbone.attention_pool, pooling=self.settings.POOLING)
        background = self.text_features(
            "background column",
            fill_templates(self.classnames, (BACKGROUND_TEMPLATE,)),
            lambda: build_background_column(self.backbone, self.classnames).unsqueeze(0),
            num_rows=1,
        )
        self.columns = torch.cat([self.text_weights, background.t()], dim=1)  # (D, C + 1)
        self.register_trained("attnpool", self.region_attention, self._rates())

    def _rates(self) -> list[float]:
        released = self.settings.SCHEDULE == "released"
        table = warmup_cosine_table(
            self.cfg.OPTIM.LR,
            total_steps=self.max_epoch * self.steps_per_epoch,
            warmup_steps=max(self.cfg.OPTIM.WARMUP_EPOCH, 0) * self.steps_per_epoch,
            final_lr=self.settings.FINAL_LR,
            released=released,
        )
        return released_order(table) if released else table

    def identities(self) -> dict[str, dict[str, Any]]:
        """Add the feature maps, which come from CLIP as well."""
        return {**super().identities(), "maps": self.clip_identity()}

    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """Frozen feature maps and CLIP's own pooled vector."""
        pixels = self.pixels_for(images, CLIP_STATISTICS)
        if names is not None and "clip" not in names:
            return {"maps": self.backbone.encode_maps(pixels)}
        maps, vectors = self.backbone.encode_regions(pixels)
        return {"maps": maps, "clip": vectors}

    def compare_regions(self, features: Features) -> RegionLogits:
        """Pool the maps by class and background token and compare with the texts."""
        with self.precision.autocast(self.device):  # the pooling alone: logits are compared in float32
            class_vectors, background_vectors = self.region_attention(features["maps"])
        return region_logits(
            features["clip"],
            class_vectors,
            background_vectors,
            self.columns,
            logit_scale=self.backbone.logit_scale,
        )

    def branch_logits(self, features: Features) -> Branches:
        """Zero-shot logits (alpha 0) and region logits (alpha 1)."""
        logits = self.compare_regions(features)
        return {"zero_shot": logits.zero_shot, "region": logits.region}

    def decide(self, branches: Branches) -> Tensor:
        """Both branches decide, mixed by alpha."""
        return mix_logits(branches["zero_shot"], branches["region"], fusion_alpha=self.fusion_alpha)

    def forward_backward(self, batch: dict[str, Any]) -> dict[str, float]:
        """Train on one batch: loss = lambda1 * Diff + lambda2 * Con + Cls + Bg."""
        features, labels = self.parse_batch_train(batch)
        logits = self.compare_regions(features)
        loss = raft_loss(
            logits,
            labels,
            difference_weight=self.settings.LAMBDA1,
            consistency_weight=self.settings.LAMBDA2,
            region_temperature=self.settings.TAU1,
            background_temperature=self.settings.TAU2,
        )
        self.descend(loss.total)
        parts = {f"loss_{name}": value.item() for name, value in zip(loss._fields[1:], loss[1:], strict=True)}
        return {"loss": loss.total.item(), **parts, "acc": batch_accuracy(logits.region, labels)}

    def before_test(self, split: str) -> None:
        """Choose alpha on validation images; on the test set only where TEST.FINAL_MODEL asks for it."""
        if self.settings.ALPHA_RULE == "fixed":
            print(f"alpha is {self.fusion_alpha:.2f}, as TRAINER.RAFT.FUSION_ALPHA says")
            return
        if self.selection_images is None:
            print(f"alpha stays at {self.fusion_alpha:.2f}: the data set has no validation images of its own")
            return
        branches, labels = self.collect_branches(*self.selection_images)
        self.tuning = search_alpha(
            branches["zero_shot"],
            branches["region"],
            labels,
            steps=self.settings.ALPHA_STEPS,
            rule=self.settings.ALPHA_RULE,
        )
        self.fusion_alpha = self.tuning.chosen["fusion_alpha"]
        accuracy = self.tuning.accuracy
        print(f"alpha {self.fusion_alpha:.2f} chosen on {len(labels)} {self.chosen_on} images ({accuracy:.2f}%)")

    def protocol(self) -> dict[str, Any]:
        """Add how alpha was chosen."""
        return {**super().protocol(), "alpha_rule": self.settings.ALPHA_RULE}

    def inference_head(self) -> Head:
        """Return the tuned pooling, the background column and alpha."""
        return RAFTHead(self.text_weights, self.columns[:, -1], self.region_attention, fusion_alpha=self.fusion_alpha)

    def method_outcome(self) -> dict[str, Any]:
        """Record alpha."""
        return {"fusion_alpha": self.fusion_alpha}

    def attention_of(self, images: Any, rows: Sequence[int]) -> dict[str, Tensor]:
        """Return where frozen CLIP's pooling and the tuned one look."""
        maps = self.encoders.features_of(images, title="encode images to show").take("maps", rows)
        before = attention_maps(self.backbone.attention_pool, maps)[:, 0]  # its one token, which both start from
        after = attention_maps(self.region_attention, maps)
        return {
            "class_before": before,
            "class_after": after[:, 0],
            "background_before": before,
            "background_after": after[:, 1],
        }
