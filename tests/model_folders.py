"""What a small model says about itself."""

from typing import Any

from amu_raft.backbones.aux_encoder import AuxEncoder
from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STD
from amu_raft.model.few_shot_model import FewShotModel, Head
from amu_raft.model.model_info import EncoderIdentity, ModelInfo
from amu_raft.model.pixels import PixelRecipe

TEMPERATURE = 1.5


def small_model(
    head: Head, backbone: CLIPBackbone, aux: AuxEncoder | None, *, names: list[str], **about: Any
) -> tuple[FewShotModel, ModelInfo]:
    """Return a model on the tiny encoders and its information; classes have the keys n1, n2, ..."""
    info = ModelInfo(
        method=head.method,
        classnames=names,
        class_keys=[f"n{number}" for number in range(1, len(names) + 1)],
        prompts=[[f"a {name}"] for name in names],
        backbone=EncoderIdentity("tiny", backbone.sha256),
        precision="fp32",
        layers=backbone.layers,
        aux_encoder=EncoderIdentity("tiny", aux.sha256) if aux else None,
        recipe=PixelRecipe(64, "bicubic"),
        mean=CLIP_MEAN,
        std=CLIP_STD,
        choices=head.choices(),
        temperature=TEMPERATURE,
        about=about,
    )
    return FewShotModel(backbone, head, aux_encoder=aux, temperature=TEMPERATURE), info
