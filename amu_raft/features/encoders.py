"""The frozen encoders of one model: from images to named features."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from amu_raft.backbones.aux_encoder import AuxEncoder
from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, ChannelStatistics, renormalize
from amu_raft.features.extraction import Features


class Reader(Protocol):
    """Computes a feature from pixels, without an encoder."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the feature (N, ...) of pixels (N, 3, H, W) in [0, 1]."""

    def identity(self) -> dict[str, Any]:
        """Return a name and whatever else tells its numbers from others."""


class Encoders:
    """What computes the features that a method reads.

    Args:
        backbone: CLIP: "clip" are its vectors, "maps" what its attention pooling pools.
        reads: Names of the features.
        aux_encoder: For "aux".
        readers: For other names.
        statistics: How images come normalised, which changes last digits only.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        reads: Sequence[str],
        *,
        aux_encoder: AuxEncoder | None = None,
        readers: Mapping[str, Reader] | None = None,
        statistics: ChannelStatistics = CLIP_STATISTICS,
    ) -> None:
        self.backbone = backbone
        self.reads = tuple(reads)
        self.aux_encoder = aux_encoder
        self.readers = dict(readers or {})
        self.statistics = statistics
        if "aux" in self.reads and aux_encoder is None:
            raise ValueError("features 'aux' are read, so an aux encoder is needed")
        if unknown := [name for name in self.reads if name not in ("clip", "maps", "aux", *self.readers)]:
            raise ValueError(f"nothing computes feature {unknown[0]!r}; there are clip, maps and aux")

    @property
    def widths(self) -> dict[str, int]:
        """Width of the vectors of each encoder."""
        widths = {"clip": self.backbone.feature_dim}
        return widths if self.aux_encoder is None else {**widths, "aux": self.aux_encoder.feature_dim}

    def identities(self) -> dict[str, dict[str, Any]]:
        """Return what tells the encoder of each feature from others, so that stored features are never mistaken."""
        # What images come normalised by decides how they are brought to an encoder's own normalisation.
        pixels = [self.statistics.mean.flatten().tolist(), self.statistics.std.flatten().tolist()]
        common = {"pixels": pixels, "layers": self.backbone.layers, "code": None}
        return {name: {**self._identity(name), **common} for name in self.reads}

    def _identity(self, name: str) -> dict[str, Any]:
        if name in self.readers:
            return self.readers[name].identity()
        encoder = self.aux_encoder if name == "aux" else self.backbone
        assert encoder is not None
        return {"name": encoder.name, "sha256": encoder.sha256, "precision": self.backbone.precision.name}

    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """Encode a batch of images (B, 3, H, W), normalised by ``statistics``.

        Args:
            images: The batch.
            names: Features that are wanted; None for all.
        """
        wanted = [name for name in self.reads if names is None or name in names]
        features: Features = {}
        if "maps" in wanted:  # CLIP's own vector comes with them
            maps, vectors = self.backbone.encode_regions(self._for(images, CLIP_STATISTICS))
            features = {"maps": maps, "clip": vectors} if "clip" in wanted else {"maps": maps}
        elif "clip" in wanted:
            features["clip"] = self.backbone.encode_image(self._for(images, CLIP_STATISTICS))
        if "aux" in wanted:
            features["aux"] = self._encode_aux(images)
        for name in wanted:
            if name in self.readers:
                features[name] = self.readers[name](self._for(images, IDENTITY))
        return features

    @torch.no_grad()
    def _encode_aux(self, images: Tensor) -> Tensor:
        encoder = self.aux_encoder
        assert encoder is not None
        with self.backbone.precision.autocast(images.device):
            found: Tensor = encoder(self._for(images, ChannelStatistics(encoder.mean, encoder.std))).float()
        return found

    def _for(self, images: Tensor, target: ChannelStatistics) -> Tensor:
        return renormalize(images, self.statistics, target)
