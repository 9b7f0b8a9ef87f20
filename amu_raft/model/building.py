"""From frozen encoders and sentences to a method that is ready to begin."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.text_classifier import average_per_class, encode_prompts
from amu_raft.features.encoders import Encoders
from amu_raft.features.store import FeatureStore
from amu_raft.features.texts import stored_text_features
from amu_raft.features.views import seeded_randomness
from amu_raft.methods import Method, Task


class Texts:
    """Sentences encoded by a model's CLIP, through the store.

    Args:
        encoders: Of which CLIP's text tower is used.
        store: Where text features are kept.
        device: Where they go.
    """

    def __init__(self, encoders: Encoders, store: FeatureStore, device: torch.device) -> None:
        self.backbone = encoders.backbone
        self.store = store
        self.device = device

    def rows(self, kind: str, prompts: list[list[str]], combine: Callable[[Tensor], Tensor], num_rows: int) -> Tensor:
        """Return what is made of the embeddings of sentences, (num_rows, D).

        Args:
            kind: What it is, such as "class columns".
            prompts: Sentences, class after class.
            combine: Makes it of the raw embeddings of all sentences, (P, D).
            num_rows: How many rows that gives.
        """
        sentences = [sentence for group in prompts for sentence in group]
        backbone = self.backbone
        identity = {"name": backbone.name, "sha256": backbone.sha256, "precision": backbone.precision.name}
        return stored_text_features(
            self.store,
            identity,
            prompts,
            kind=kind,
            num_rows=num_rows,
            device=self.device,
            compute=lambda: combine(encode_prompts(backbone, sentences)),
        )

    def class_columns(self, prompts: list[list[str]]) -> Tensor:
        """Return unit text features of the classes, (D, C)."""
        counts = [len(sentences) for sentences in prompts]
        rows = self.rows("class columns", prompts, lambda found: average_per_class(found, counts).t(), len(counts))
        # Classes along the last axis in memory too: another layout would change the last digits of products.
        return rows.t().contiguous()


def build_method(
    kind: type[Method],
    settings: Any,
    encoders: Encoders,
    texts: Texts,
    *,
    columns: Tensor,
    classnames: Sequence[str],
    seed: int,
) -> Method:
    """Return a method with the texts that it needs, on their device; nothing is learned yet.

    Args:
        kind: Its class.
        settings: Its settings.
        encoders: Frozen.
        texts: Encodes further sentences.
        columns: Unit text features of the classes, (D, C).
        classnames: Their names.
        seed: Of what the method draws for its first values.
    """

    def text_rows(what: str, sentences: list[str], combine: Callable[[Tensor], Tensor], num_rows: int) -> Tensor:
        return texts.rows(what, [[sentence] for sentence in sentences], combine, num_rows)

    backbone = encoders.backbone
    task = Task(
        columns,
        backbone.logit_scale,
        encoders.widths,
        backbone.precision,
        classnames,
        attention_pool=partial(getattr, backbone, "attention_pool"),
        text_rows=text_rows,
    )
    with seeded_randomness(seed & 0xFFFFFFFF):
        method = kind(settings, task)
    method.to(columns.device)
    method.prepare()
    return method
