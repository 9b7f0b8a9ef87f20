"""What a small model says about itself."""

from typing import Any

from modeling.aux_encoder import AuxEncoder
from modeling.clip_backbone import CLIPBackbone
from modeling.few_shot_model import FewShotModel, Head
from modeling.model_info import EncoderIdentity, ModelInfo
from modeling.pixels import PixelRecipe
from modeling.preprocess import CLIP_MEAN, CLIP_STD

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
