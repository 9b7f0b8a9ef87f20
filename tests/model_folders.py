"""Small models of any method on the tiny encoders."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import load_clip
from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STD
from amu_raft.features.encoders import Encoders
from amu_raft.images.pixels import PixelRecipe
from amu_raft.methods import Method, Task, get_method
from amu_raft.model.few_shot_model import FewShotModel
from amu_raft.model.model_info import EncoderIdentity, ModelInfo

TEMPERATURE = 1.5
CHOICES: dict[str, dict[str, Any]] = {"AMU": {"fusion_alpha": 2.0}, "RAFT": {"fusion_alpha": 0.7}}


class Noise:
    """Training features of two pictures of noise for each class."""

    seed = 0

    def __init__(self, encoders: Encoders, num_classes: int) -> None:
        pixels = torch.rand(2 * num_classes, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        self.features = encoders.encode(pixels)
        self.labels = torch.arange(num_classes).repeat(2)

    def views(self, name: str, passes: int) -> Tensor:
        return torch.stack([self.features[name]] * passes)

    def plain(self, name: str) -> Tensor:
        return self.features[name]


def encoders_of(kind: type[Method]) -> Encoders:
    """Return the tiny encoders of a method."""
    aux = load_aux_encoder("tiny") if "aux" in kind.reads else None
    return Encoders(load_clip("tiny"), kind.reads, aux_encoder=aux, readers=kind.readers)


def small_method(kind: type[Method], encoders: Encoders, names: list[str], **choices: Any) -> Method:
    """Return a method that starts from pictures of noise and goes astray, the same way in every process."""
    backbone, generator = encoders.backbone, torch.Generator().manual_seed(0)
    columns = F.normalize(torch.randn(backbone.feature_dim, len(names), generator=generator), dim=0)
    method = kind(
        kind.Settings(**choices),
        Task(
            columns,
            backbone.logit_scale,
            encoders.widths,
            backbone.precision,
            names,
            attention_pool=lambda: backbone.attention_pool,
            text_rows=lambda kind, sentences, combine, rows: torch.randn(rows, len(columns), generator=generator),
        ),
    )
    method.prepare()
    method.start(Noise(encoders, len(names)))
    with torch.no_grad():
        for tensor in (value for value in method.state_dict().values() if value.is_floating_point()):
            tensor.add_(0.3 * tensor.std() * torch.randn(tensor.shape, generator=generator))
    return method.requires_grad_(False).eval()


def small_model(
    name: str, *, names: list[str], choices: Mapping[str, Any] | None = None, **about: Any
) -> tuple[FewShotModel, ModelInfo]:
    """Return a model and its information; classes have the keys n1, n2, ..."""
    encoders = encoders_of(get_method(name))
    chosen = {**CHOICES.get(name, {}), **(choices or {})}
    method = small_method(get_method(name), encoders, names, **chosen)
    return FewShotModel(encoders, method, temperature=TEMPERATURE), info_of(method, encoders, names, **about)


def info_of(method: Method, encoders: Encoders, names: list[str], **about: Any) -> ModelInfo:
    """Return what a folder says of a method on the tiny encoders."""
    aux = encoders.aux_encoder
    return ModelInfo(
        method=type(method).__name__,
        classnames=names,
        class_keys=[f"n{number}" for number in range(1, len(names) + 1)],
        prompts=[[f"a {name}"] for name in names],
        backbone=EncoderIdentity("tiny", encoders.backbone.sha256),
        precision="fp32",
        layers=encoders.backbone.layers,
        aux_encoder=EncoderIdentity("tiny", aux.sha256) if aux else None,
        recipe=PixelRecipe(64, "bicubic"),
        mean=CLIP_MEAN,
        std=CLIP_STD,
        choices=method.kept_choices(),
        temperature=TEMPERATURE,
        about=about,
    )
