"""RAFT's background text: one feature for what is around the classes."""

from collections.abc import Sequence

from torch import Tensor

from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.backbones.preprocess import unit_rows
from amu_raft.backbones.text_classifier import encode_prompts, fill_templates

BACKGROUND_TEMPLATE = "the background of {}."


def background_sentences(classnames: Sequence[str]) -> list[str]:
    """Return the sentence of each class."""
    return [sentence for (sentence,) in fill_templates(classnames, (BACKGROUND_TEMPLATE,))]


def average_background(embeddings: Tensor) -> Tensor:
    """Average one background embedding per class, (C, D), to the background column (D,).

    Each is normalised, the average is not: its norm stays below 1, as in the released code.
    """
    return unit_rows(embeddings).mean(dim=0)


def build_background_column(backbone: CLIPBackbone, classnames: Sequence[str]) -> Tensor:
    """Return the background text feature (D,) from the class names."""
    return average_background(encode_prompts(backbone, background_sentences(classnames)))
