"""Zero-shot CLIP: nothing is trained; the text classifier decides."""

from collections.abc import Collection

from torch import Tensor
from yacs.config import CfgNode

from amu_raft.backbones.preprocess import CLIP_STATISTICS
from amu_raft.backbones.text_classifier import zero_shot_logits
from amu_raft.features.extraction import Features
from amu_raft.model.few_shot_model import Head, ZeroShotHead
from dassl.engine import TRAINER_REGISTRY
from trainers.few_shot import Branches, FewShotTrainer, add_shared_keys, common_settings


def extend_cfg(cfg: CfgNode) -> None:
    """Attach the keys of zero-shot CLIP."""
    add_shared_keys(cfg)
    cfg.TRAINER.ZEROSHOTCLIP = common_settings()


@TRAINER_REGISTRY.register()
class ZeroshotCLIP(FewShotTrainer):
    """CLIP as it is: logits are scaled similarities of image and class texts."""

    trains = False

    def build_method(self) -> None:
        """Register no model and train no epoch: a run goes straight to the evaluation."""
        self.max_epoch = 0

    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """CLIP's image features."""
        return {"clip": self.backbone.encode_image(self.pixels_for(images, CLIP_STATISTICS))}

    def branch_logits(self, features: Features) -> Branches:
        """Zero-shot logits alone."""
        scale = self.backbone.logit_scale
        return {"zero_shot": zero_shot_logits(features["clip"], self.text_weights, logit_scale=scale)}

    def decide(self, branches: Branches) -> Tensor:
        """The zero-shot logits decide."""
        return branches["zero_shot"]

    def inference_head(self) -> Head:
        """The text columns are all there is."""
        return ZeroShotHead(self.text_weights)
