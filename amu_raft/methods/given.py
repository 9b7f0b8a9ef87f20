"""What a method is given, and what it gives back.

Letters in shapes: N images, C classes, D width of CLIP's vectors, F width of auxiliary ones, V views, E width of maps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from torch import Tensor, nn

from amu_raft.backbones.precision import Precision

Features = Mapping[str, Tensor]  # "clip" (N, D), "maps" (N, E, h, w), "aux" (N, F), as they leave the encoders
Branches = dict[str, Tensor]  # logits (N, C) by name
Learning = Literal["nothing", "closed_form", "gradient"]


class Loss(NamedTuple):
    """What a step of training minimises.

    Attributes:
        total: Scalar.
        logits: Those whose accuracy the log shows, (N, C).
        parts: Scalars to be logged, by name.
    """

    total: Tensor
    logits: Tensor
    parts: Mapping[str, Tensor] = {}


@dataclass(frozen=True)
class Task:
    """The classes and the frozen encoders that a method works with.

    Attributes:
        text_columns: Unit text features of the classes, (D, C).
        logit_scale: CLIP's factor on similarities.
        widths: Width of the vectors of each feature, such as {"clip": D, "aux": F}.
        precision: In which matrix products run.
        classnames: Names of the classes; empty where a saved model is read.
        attention_pool: Returns CLIP's own attention pooling, and raises ValueError if it has none.
        text_rows: Encodes further sentences: ``text_rows(kind, sentences, combine, rows)`` stores under the kind what
            ``combine`` makes, (rows, D), of their embeddings (P, D). None where there is no text tower.
    """

    text_columns: Tensor
    logit_scale: float
    widths: Mapping[str, int]
    precision: Precision
    classnames: Sequence[str] = ()
    attention_pool: Callable[[], nn.Module] | None = None
    text_rows: Callable[[str, list[str], Callable[[Tensor], Tensor], int], Tensor] | None = None


class TrainingFeatures(Protocol):
    """Frozen features of the training images."""

    @property
    def labels(self) -> Tensor:
        """Labels, (N,)."""

    @property
    def seed(self) -> int:
        """Seed for what is drawn at the start."""

    def views(self, name: str, passes: int) -> Tensor:
        """Return a feature of augmented passes over the images, (V, N, ...) with V = passes, as it is encoded."""

    def plain(self, name: str) -> Tensor:
        """Return a feature of the images without augmentation, (N, ...)."""


class Validation(Protocol):
    """The images that choices are made on, and their labels."""

    def __call__(self) -> tuple[Branches, Tensor]:
        """Return the method's branches, (N, C) each, and the labels (N,)."""

    def features(self) -> tuple[Features, Tensor]:
        """Return the features that the method reads, and the labels (N,)."""


class Trials(Protocol):
    """Lets a method train itself to compare settings that only training can compare."""

    def train(self) -> None:
        """Train from the present start for all epochs."""

    def reset(self) -> None:
        """Put weights, optimiser and schedule back to the start."""


@dataclass(frozen=True)
class Explanation:
    """What there is to be shown of N pictures.

    Attributes:
        parts: Logits (N, C) that add up to the decision, by label; "{name:.3g}" in a label is a picture's number.
        maps: Attention over regions, (N, h, w), by name.
    """

    parts: Mapping[str, Tensor] = field(default_factory=dict)
    maps: Mapping[str, Tensor] = field(default_factory=dict)


class Released(NamedTuple):
    """Weights as a method's authors publish them, in our own form.

    Attributes:
        state: State dict of ``trained``.
        note: What is to be said about the file, "" for nothing.
        num_rows: Number of classes that the weights have rows for; None if they have none.
        fingerprints: Checksums of the frozen encoders that they were fitted to, by the names of settings.json.
    """

    state: dict[str, Tensor]
    note: str = ""
    num_rows: int | None = None
    fingerprints: Mapping[str, str] = {}
