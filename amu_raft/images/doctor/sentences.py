"""Whether CLIP can read what stands for the classes of own images: as training does, before it."""

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from amu_raft.backbones.text_classifier import fill_templates, read_prompt_file, tokenize
from amu_raft.images.own_images import TEMPLATES
from amu_raft.wording import examples, printable

SURELY_SHORT = 75  # ASCII letters: a token has at least one, and begin and end take two of the 77


def refused_sentences(prompt_file: Path | None, names: Sequence[str]) -> str:
    """Say why training would refuse the sentences of the classes; empty if it takes them.

    Args:
        prompt_file: The user's sentences for each class; None for ``TEMPLATES``.
        names: Class names.
    """
    try:
        sentences = read_prompt_file(prompt_file, names) if prompt_file else fill_templates(names, TEMPLATES)
    except (OSError, ValueError, RecursionError) as error:
        return printable(error)
    long = list(too_long(itertools.chain.from_iterable(sentences)))
    where = f" in {prompt_file}" if prompt_file else ""
    return f"more than CLIP's 77 tokens{where}: {examples(printable(text[:80]) for text in long)}" if long else ""


def too_long(sentences: Iterable[str]) -> Iterator[str]:
    """Yield the sentences that CLIP's tokenizer refuses; it is only loaded for those that might be."""
    for sentence in sentences:
        if len(sentence) > SURELY_SHORT or not sentence.isascii():
            try:
                tokenize([sentence])
            except ValueError:
                yield sentence


def names_of_one_text(names: Sequence[str], shown: Sequence[str]) -> str:
    """Say which classes have one name to CLIP, which minds neither case nor blanks; empty if it tells all apart.

    Args:
        names: Class names.
        shown: What the report calls the classes.
    """
    groups: dict[str, list[str]] = {}
    for name, title in zip(names, shown, strict=True):
        text = " ".join(_composed(name).replace("_", " ").lower().split())
        groups.setdefault(text, []).append(title)
    same = [group for group in groups.values() if len(group) > 1]
    # Two ways to write an accent look alike.
    pairs = [" = ".join(map(repr if len(set(map(_composed, group))) == len(group) else ascii, group)) for group in same]
    more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
    return f"names that CLIP cannot tell apart: {'; '.join(pairs[:3])}{more}" if pairs else ""


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
