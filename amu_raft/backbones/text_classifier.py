"""Class names to text classifiers: prompts, their embeddings, their averages."""

import json
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor

from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.backbones.preprocess import unit_rows
from amu_raft.wording import shortened

# The seven templates selected for ImageNet by CLIP's authors, used by both released code bases.
IMAGENET_TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
_SAME_TEXT = 1e-5  # of a cosine: a thousandth of a logit


def fill_templates(classnames: Iterable[str], templates: Sequence[str]) -> list[list[str]]:
    """Return, per class, every template with the class name ("_" read as a blank) in place of "{}".

    Raises:
        ValueError: If there is no template or one has no "{}".
    """
    if not templates:
        raise ValueError("no template given")
    for template in templates:
        if "{}" not in template:
            raise ValueError(f'template {template!r} has no "{{}}" for the class name')
    return [[template.replace("{}", name.replace("_", " ")) for template in templates] for name in classnames]


def read_prompt_file(path: Path | str, classnames: Iterable[str]) -> list[list[str]]:
    """Read per-class sentences, such as GPT-3 descriptions, used word for word.

    Args:
        path: JSON file: class name (blanks, no "_") to a list of sentences.
        classnames: The classes in label order.

    Returns:
        The sentences of each class.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file has another form or lacks a class; the message names the nearest keys.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no prompt file at {path}")
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"prompt file {path} is not JSON: {error}") from error
    if not isinstance(table, dict):
        raise ValueError(f"prompt file {path} must map class names to lists of sentences")
    return [_sentences_of(name.replace("_", " "), table, path) for name in classnames]


def _sentences_of(name: str, table: dict[str, object], path: Path) -> list[str]:
    if name not in table:
        near = get_close_matches(name, list(table), n=3, cutoff=0.4)
        hint = f"; nearest keys: {', '.join(map(repr, near))}" if near else ""
        raise ValueError(f"prompt file {path} has no class {name!r}{hint}")
    sentences = table[name]
    if not isinstance(sentences, list) or not sentences or not all(isinstance(item, str) for item in sentences):
        raise ValueError(f"prompt file {path} must give a non-empty list of sentences for class {name!r}")
    return list(sentences)


def tokenize(prompts: Sequence[str]) -> Tensor:
    """Turn P prompts into token ids, (P, 77).

    Raises:
        ValueError: If a prompt has more than 77 tokens.
    """
    from amu_raft.backbones.clip_package import clip

    try:
        tokens: Tensor = clip.tokenize(list(prompts))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    return tokens


def encode_prompts(backbone: CLIPBackbone, prompts: Sequence[str], *, batch_size: int = 256) -> Tensor:
    """Encode P prompts to raw embeddings, (P, D) in float32, on the backbone's device."""
    device = backbone.model.text_projection.device
    batches = [prompts[start : start + batch_size] for start in range(0, len(prompts), batch_size)]
    return torch.cat([backbone.encode_text(tokenize(batch).to(device)) for batch in batches])


def average_per_class(embeddings: Tensor, counts: Sequence[int]) -> Tensor:
    """Average prompt embeddings to one unit column per class.

    Args:
        embeddings: Raw embeddings, class after class, (sum of counts, D).
        counts: Number of prompts of each class.

    Returns:
        Weights (D, C): normalise each embedding, average per class, normalise the average.

    Raises:
        ValueError: If the counts do not add up to the number of embeddings or one is zero.
    """
    if sum(counts) != len(embeddings) or min(counts, default=0) < 1:
        raise ValueError(f"{len(embeddings)} embeddings cannot be shared out over prompt counts {list(counts)}")
    unit = unit_rows(embeddings)
    means = torch.stack([group.mean(dim=0) for group in unit.split(list(counts))])
    return unit_rows(means).t().contiguous()


def build_text_classifier(backbone: CLIPBackbone, prompts: Sequence[Sequence[str]]) -> Tensor:
    """Return CLIP's text classifier (D, C) from the prompts of each class."""
    flat = [sentence for sentences in prompts for sentence in sentences]
    return average_per_class(encode_prompts(backbone, flat), [len(sentences) for sentences in prompts])


def zero_shot_logits(image_features: Tensor, text_weights: Tensor, *, logit_scale: float) -> Tensor:
    """Return CLIP's own logits (N, C): scaled cosine similarities of features (N, D) with text weights (D, C)."""
    return logit_scale * unit_rows(image_features) @ text_weights


def indistinct_classes(columns: Tensor) -> list[list[int]]:
    """Return groups of classes whose texts are one and the same to CLIP, such as words that a small CLIP never read.

    Args:
        columns: Text features of the classes, (D, C).

    Returns:
        The labels of each group of two or more, in order.
    """
    rows = unit_rows(columns.t().float())
    groups: dict[int, list[int]] = {}
    for label, similar in enumerate(rows @ rows.t() > 1 - _SAME_TEXT):
        first = int(similar.int().argmax())
        groups.setdefault(first, []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def warn_of_indistinct_texts(columns: Tensor, classnames: Sequence[str], backbone: str) -> None:
    """Warn if a CLIP cannot tell the texts of differently named classes apart.

    Args:
        columns: Text features of the classes, (D, C).
        classnames: Their names; equal names have equal texts, which is no news.
        backbone: Name of the CLIP.
    """
    for group in indistinct_classes(columns):
        names = list(dict.fromkeys(classnames[label] for label in group))
        if len(names) > 1:
            warnings.warn(
                f"to the CLIP {backbone!r} the texts of {shortened(names)} are the same: what goes by texts guesses "
                "among these classes. Take another --backbone or other names",
                stacklevel=2,
            )
