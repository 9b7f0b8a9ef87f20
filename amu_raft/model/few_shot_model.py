"""An adapted CLIP that classifies pictures: frozen encoders and a method that has learned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from amu_raft.backbones.preprocess import IDENTITY, renormalize
from amu_raft.features.encoders import Encoders
from amu_raft.methods.contract import Method
from amu_raft.methods.given import Explanation


@dataclass(frozen=True)
class Scores:
    """What a model says about N images and C classes.

    Attributes:
        zero_shot: Frozen CLIP's logits, (N, C).
        adapted: The logits that decide, (N, C).
        numbers: The method's numbers of each image, (N,) by name.
        explanation: What the method shows of each image; empty unless it was asked for.
    """

    zero_shot: Tensor
    adapted: Tensor
    numbers: Mapping[str, Tensor] = field(default_factory=dict)
    explanation: Explanation = field(default_factory=Explanation)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything as tensors (N, ...) by name."""
        parts = {"numbers": self.numbers, "parts": self.explanation.parts, "maps": self.explanation.maps}
        named = {f"{kind}/{name}": value for kind, values in parts.items() for name, value in values.items()}
        return {"zero_shot": self.zero_shot, "adapted": self.adapted, **named}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Scores":
        """Undo ``tensors``."""
        parts: dict[str, dict[str, Tensor]] = {"numbers": {}, "parts": {}, "maps": {}}
        for named, value in tensors.items():
            kind, slash, name = named.partition("/")
            if slash:
                parts[kind][name] = value
        explanation = Explanation(parts["parts"], parts["maps"])
        return cls(tensors["zero_shot"], tensors["adapted"], parts["numbers"], explanation)

    def only(self, place: int) -> "Scores":
        """Return the scores of one image, (1, ...)."""
        return Scores.of({name: value[place : place + 1] for name, value in self.tensors().items()})


class FewShotModel(nn.Module):
    """Pixels in, scores out.

    Args:
        encoders: Frozen; only CLIP's image side is used.
        method: What has learned.
        temperature: Divides the adapted logits in ``probabilities``.
    """

    def __init__(self, encoders: Encoders, method: Method, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.encoders = encoders
        self.method = method
        self.temperature = temperature
        self.eval()

    @property
    def num_classes(self) -> int:
        """C."""
        return self.method.num_classes

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.method.text_columns.device

    @torch.no_grad()
    def forward(self, pixels: Tensor, *, explain: bool = False) -> Scores:
        """Score pixels (N, 3, H, W) in [0, 1] at the backbone's resolution.

        Args:
            pixels: The images.
            explain: Whether what explains the decision is wanted too.

        Raises:
            ValueError: If they do not have the backbone's resolution.
        """
        features = self.encoders.encode(renormalize(pixels, IDENTITY, self.encoders.statistics))
        branches = self.method.branches(features)
        shown = self.method.explain(features, branches) if explain else Explanation()
        return Scores(branches["zero_shot"], self.method.decide(branches), self.method.numbers(branches), shown)

    def logits(self, pixels: Tensor) -> Tensor:
        """Return the logits (N, C) that decide about pixels (N, 3, H, W), and nothing else, for tracers."""
        features = self.encoders.encode(renormalize(pixels, IDENTITY, self.encoders.statistics))
        return self.method.decide(self.method.branches(features))

    def probabilities(self, scores: Scores) -> Tensor:
        """Return calibrated probabilities of the classes, (N, C)."""
        return (scores.adapted / self.temperature).softmax(dim=-1)
