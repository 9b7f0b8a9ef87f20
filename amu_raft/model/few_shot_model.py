"""An adapted CLIP that classifies pictures: frozen encoders, text columns and what a method has trained.

The formulas are those of ``amu_raft.methods.amu.fusion``, ``amu_raft.methods.raft.losses`` and ``amu_raft.methods.raft.alpha_search``, which training uses.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from amu_raft.backbones.aux_encoder import AuxEncoder
from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, ChannelStatistics, renormalize
from amu_raft.backbones.text_classifier import zero_shot_logits
from amu_raft.methods.amu.adapter import Adapter, KnownClasses
from amu_raft.methods.amu.fusion import UNCERTAINTY_KINDS, amu_logits, uncertainty_weight
from amu_raft.methods.raft.alpha_search import mix_logits
from amu_raft.methods.raft.attention_maps import attention_maps
from amu_raft.methods.raft.losses import region_logits
from amu_raft.methods.raft.region_attention import RegionAttention
from amu_raft.model.model_info import number


class Scores(NamedTuple):
    """What a model says about N images and C classes; parts that its method does not have are None.

    Attributes:
        zero_shot: Frozen CLIP's logits, (N, C).
        adapted: The logits that decide, (N, C).
        aux: AMU's auxiliary logits as they enter the fusion, (N, C).
        weight: AMU's uncertainty weight times alpha: adapted = zero_shot + weight * aux, (N, 1).
        region: RAFT's logits of the tuned pooling, (N, C).
        attention: RAFT's attention of class and background token over regions, averaged over heads, (N, 2, h, w); only
            if it was asked for.
    """

    zero_shot: Tensor
    adapted: Tensor
    aux: Tensor | None = None
    weight: Tensor | None = None
    region: Tensor | None = None
    attention: Tensor | None = None


class Head(nn.Module):
    """What a method puts on the frozen encoders.

    Attributes:
        method: Name of the trainer.
        text_columns: Unit text features of the classes, (D, C).
    """

    method = ""
    text_columns: Tensor

    def __init__(self, text_columns: Tensor) -> None:
        super().__init__()
        self.register_buffer("text_columns", text_columns)

    @abstractmethod
    def choices(self) -> dict[str, Any]:
        """Return what was chosen beside the weights, as plain values."""

    @abstractmethod
    def score(self, model: "FewShotModel", images: Tensor, *, attention: bool) -> Scores:
        """Score images (N, 3, H, W), normalised by ``model.pixel_statistics``."""


class ZeroShotHead(Head):
    """The text columns alone."""

    method = "ZeroshotCLIP"

    def choices(self) -> dict[str, Any]:
        """Nothing was chosen."""
        return {}

    def score(self, model: "FewShotModel", images: Tensor, *, attention: bool) -> Scores:
        """Zero-shot logits decide."""
        features = model.backbone.encode_image(model.pixels_for(images, CLIP_STATISTICS))
        logits = zero_shot_logits(features, self.text_columns, logit_scale=model.backbone.logit_scale)
        return Scores(logits, logits)


class AMUHead(Head):
    """The linear classifier on auxiliary features and how its logits are fused.

    Args:
        text_columns: (D, C).
        adapter_weight: (C, F), or (rows, F) where ``known`` says which of these rows are classes here.
        fusion_alpha: alpha.
        uncertainty: Kind of ``amu_raft.methods.amu.fusion``.
        uncertainty_power: Its exponent.
        standardize: Whether auxiliary logits are standardised per image.
        known: Classes that the adapter knows, if it was trained on others; None for all of them in order.

    Raises:
        ValueError: If the kind is unknown.
    """

    method = "AMU"

    def __init__(
        self,
        text_columns: Tensor,
        adapter_weight: Tensor,
        *,
        fusion_alpha: float,
        uncertainty: str,
        uncertainty_power: float,
        standardize: bool,
        known: KnownClasses | None = None,
    ) -> None:
        super().__init__(text_columns)
        if uncertainty not in UNCERTAINTY_KINDS:
            raise ValueError(f"unknown uncertainty kind {uncertainty!r}; choose from {', '.join(UNCERTAINTY_KINDS)}")
        self.adapter = Adapter(adapter_weight).to(adapter_weight.device, adapter_weight.dtype).requires_grad_(False)
        self.fusion_alpha = fusion_alpha
        self.uncertainty = uncertainty
        self.uncertainty_power = uncertainty_power
        self.standardize = standardize
        self.known = known

    def choices(self) -> dict[str, Any]:
        """Return how the logits are fused, and which classes the adapter knows."""
        names = ("fusion_alpha", "uncertainty", "uncertainty_power", "standardize")
        known = None if self.known is None else [self.known.labels.tolist(), self.known.rows.tolist()]
        return {**{name: getattr(self, name) for name in names}, "known": known}

    def score(self, model: "FewShotModel", images: Tensor, *, attention: bool) -> Scores:
        """Fused logits decide."""
        encoder = model.required_aux_encoder
        clip_features = model.backbone.encode_image(model.pixels_for(images, CLIP_STATISTICS))
        with model.backbone.precision.autocast(images.device):
            pixels = model.pixels_for(images, ChannelStatistics(encoder.mean, encoder.std))
            aux_features = encoder(pixels).float()
        logits = amu_logits(
            clip_features,
            aux_features,
            self.text_columns,
            self.adapter,
            logit_scale=model.backbone.logit_scale,
            fusion_alpha=self.fusion_alpha,
            kind=self.uncertainty,
            power=self.uncertainty_power,
            standardize=self.standardize,
            known=self.known,
        )
        weight = uncertainty_weight(logits.zero_shot, kind=self.uncertainty, power=self.uncertainty_power)
        return Scores(logits.zero_shot, logits.fused, aux=logits.aux, weight=weight * self.fusion_alpha)


class RAFTHead(Head):
    """The tuned pooling, the background column and how far the tuned logits decide.

    Args:
        text_columns: (D, C).
        background_column: (D,).
        region_attention: The tuned pooling.
        fusion_alpha: alpha.
    """

    method = "RAFT"
    background_column: Tensor

    def __init__(
        self,
        text_columns: Tensor,
        background_column: Tensor,
        region_attention: RegionAttention,
        *,
        fusion_alpha: float,
    ) -> None:
        super().__init__(text_columns)
        self.register_buffer("background_column", background_column)
        self.region_attention = region_attention
        self.fusion_alpha = fusion_alpha

    def choices(self) -> dict[str, Any]:
        """Return alpha and how the pooling is computed."""
        return {"fusion_alpha": self.fusion_alpha, "pooling": self.region_attention.pooling}

    def score(self, model: "FewShotModel", images: Tensor, *, attention: bool) -> Scores:
        """Zero-shot and region logits decide, mixed by alpha."""
        backbone = model.backbone
        maps, clip_vectors = backbone.encode_regions(model.pixels_for(images, CLIP_STATISTICS))
        with backbone.precision.autocast(images.device):  # the pooling alone: logits are compared in float32
            class_vectors, background_vectors = self.region_attention(maps)
        columns = torch.cat([self.text_columns, self.background_column[:, None]], dim=1)  # (D, C + 1)
        logits = region_logits(
            clip_vectors, class_vectors, background_vectors, columns, logit_scale=backbone.logit_scale
        )
        adapted = mix_logits(logits.zero_shot, logits.region, fusion_alpha=self.fusion_alpha)
        seen = attention_maps(self.region_attention, maps) if attention else None
        return Scores(logits.zero_shot, adapted, region=logits.region, attention=seen)


class FewShotModel(nn.Module):
    """Pixels in, scores out.

    Args:
        backbone: Frozen CLIP; only its image side is used.
        head: What a method adds.
        aux_encoder: AMU's second encoder.
        pixel_statistics: Normalisation between pixels and the encoders' own. It changes last digits only, and is the
            data loaders' so that those are the same as in training too.
        temperature: Divides the adapted logits in ``probabilities``.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        head: Head,
        *,
        aux_encoder: AuxEncoder | None = None,
        pixel_statistics: ChannelStatistics = CLIP_STATISTICS,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.aux_encoder = aux_encoder
        self.pixel_statistics = pixel_statistics
        self.temperature = temperature
        self.eval()

    @property
    def required_aux_encoder(self) -> AuxEncoder:
        """The auxiliary encoder of a method that has one.

        Raises:
            ValueError: If the model was made without.
        """
        if self.aux_encoder is None:
            raise ValueError(f"a model of {self.head.method} needs an aux encoder")
        return self.aux_encoder

    @property
    def num_classes(self) -> int:
        """C."""
        return self.head.text_columns.shape[1]

    @torch.no_grad()
    def forward(self, pixels: Tensor, *, attention: bool = False) -> Scores:
        """Score pixels (N, 3, H, W) in [0, 1] at the backbone's resolution.

        Args:
            pixels: The images.
            attention: Whether RAFT's attention over regions is wanted too.

        Raises:
            ValueError: If they do not have the backbone's resolution.
        """
        images = renormalize(pixels, IDENTITY, self.pixel_statistics)
        scores: Scores = self.head.score(self, images, attention=attention)
        return scores

    def probabilities(self, scores: Scores) -> Tensor:
        """Return calibrated probabilities of the classes, (N, C)."""
        return (scores.adapted / self.temperature).softmax(dim=-1)

    def pixels_for(self, images: Tensor, target: ChannelStatistics) -> Tensor:
        """Carry normalised images to an encoder's normalisation."""
        return renormalize(images, self.pixel_statistics, target)


def build_head(method: str, tensors: Mapping[str, Tensor], choices: Mapping[str, Any], backbone: CLIPBackbone) -> Head:
    """Build a head from its state dict and choices.

    Raises:
        ValueError: If the method or a choice is unknown or cannot be, or something has another shape.
        KeyError: If a tensor or a choice is missing.
        RuntimeError: If there is one tensor too many.
    """
    columns, settings = tensors["text_columns"], dict(choices)
    if method == AMUHead.method:
        head: Head = _amu_head(columns, tensors["adapter.fc.weight"], settings)
    elif method == RAFTHead.method:
        pooling = RegionAttention(backbone.attention_pool, pooling=settings.pop("pooling")).requires_grad_(False)
        pooling.to(columns.device, tensors["region_attention.positional_embedding"].dtype)
        alpha = number(settings.pop("fusion_alpha"), "fusion_alpha")
        head = RAFTHead(columns, tensors["background_column"], pooling, fusion_alpha=alpha)
    elif method == ZeroShotHead.method:
        head = ZeroShotHead(columns)
    else:
        accepted = ", ".join(kind.method for kind in (AMUHead, RAFTHead, ZeroShotHead))
        raise ValueError(f"unknown method {method!r}; accepted are {accepted}")
    if settings:
        raise ValueError(f"{method} has no choice {next(iter(settings))!r}")
    head.load_state_dict(dict(tensors))
    return head


def _amu_head(columns: Tensor, weight: Tensor, settings: dict[str, Any]) -> AMUHead:
    """Build the head from its choices, which are taken out of ``settings``."""
    if weight.dim() != 2:
        raise ValueError(f"adapter.fc.weight has shape {tuple(weight.shape)}; (C, F) is wanted")
    if not isinstance(standardize := settings.pop("standardize"), bool):
        raise ValueError(f'"standardize" must be true or false, got {standardize!r}')
    return AMUHead(
        columns,
        weight,
        fusion_alpha=number(settings.pop("fusion_alpha"), "fusion_alpha"),
        uncertainty=str(settings.pop("uncertainty")),
        uncertainty_power=number(settings.pop("uncertainty_power"), "uncertainty_power"),
        standardize=standardize,
        known=_known_classes(settings.pop("known"), num_rows=len(weight), num_classes=columns.shape[1]),
    )


def _known_classes(known: Any, *, num_rows: int, num_classes: int) -> KnownClasses | None:
    """Return what ``AMUHead.choices`` has written as "known"."""
    if known is None:
        if num_rows != num_classes:
            raise ValueError(f"the adapter has {num_rows} rows for {num_classes} classes")
        return None
    try:
        labels, rows = (torch.tensor(part, dtype=torch.long) for part in known)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f'"known" must be null or two lists of whole numbers, got {str(known)[:40]}') from error
    inside = bool(((labels >= 0) & (labels < num_classes)).all() and ((rows >= 0) & (rows < num_rows)).all())
    if labels.dim() != 1 or labels.shape != rows.shape or not inside:
        raise ValueError(f'"known" does not match {num_rows} rows of the adapter to {num_classes} classes')
    return KnownClasses(labels, rows, num_classes)
