"""Stage one of the tiny CLIP: attribute warm-up of the text tower on captions alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from clip import clip
from torch import Tensor, nn
from tqdm import tqdm

from scripts.pretraining.captions import BACKGROUNDS, COLOURS, OBJECTS

UNKNOWN = 0  # in the reduced vocabulary; at load every unused row of the embedding is zero, as this one stays
FEATURE_SCALE = 10.0


class ReducedVocabulary:
    """The few tokens that captions use, renumbered in order.

    CLIP reads a caption out at its largest token, the end mark, so the order must stay.

    Attributes:
        token_ids: Rows of CLIP's vocabulary in use, ascending; the first is the padding.
        context_length: Tokens in the longest caption.
        tokens: The captions in the reduced vocabulary, (captions, context_length).
    """

    def __init__(self, texts: Sequence[str]) -> None:
        tokens: Tensor = torch.cat([clip.tokenize(text) for text in tqdm(texts, desc="captions", unit="caption")])
        self.context_length = int((tokens != 0).sum(dim=1).max())
        self.token_ids, numbered = torch.unique(tokens, sorted=True, return_inverse=True)
        self.tokens = numbered[:, : self.context_length]


def train_text_tower(
    model: Any, tokens: Tensor, attributes: npt.NDArray[np.int64], *, steps: int, generator: torch.Generator
) -> list[float]:
    """Train the text half of a CLIP to tell what captions say, by linear heads on its normalised features.

    In half of the captions a tenth of the tokens are replaced by one whose embedding is held at zero: words that the
    tower does not know then leave the rest of a prompt readable.

    Args:
        model: A CLIP whose vocabulary is the reduced one. Its text half is changed in place.
        tokens: Captions, (captions, context length).
        attributes: What they say, (captions, 3), -1 where something is left out.
        steps: Steps of 128 captions.
        generator: Source of randomness.

    Returns:
        The loss of each step.
    """
    said = torch.from_numpy(attributes) + 1  # 0 = left out, which the heads have to tell as well
    width = model.text_projection.shape[1]
    heads = nn.ModuleList(nn.Linear(width, len(names) + 1) for names in (OBJECTS, COLOURS, BACKGROUNDS))
    parameters = [*_text_parameters(model), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.06)
    # Objects in equal shares: a background alone has the fewest captions, digits the most.
    shares = 1.0 / torch.bincount(said[:, 0])[said[:, 0]].double()
    losses = []
    for _ in tqdm(range(steps), desc="text tower", unit="step"):
        rows = torch.multinomial(shares, 128, replacement=True, generator=generator)
        features = FEATURE_SCALE * encode_text(model, _with_unknown(tokens[rows], generator))
        loss = torch.stack([F.cross_entropy(head(features), said[rows, i]) for i, head in enumerate(heads)]).sum()
        optimizer.zero_grad()
        loss.backward()
        model.token_embedding.weight.grad[UNKNOWN] = 0.0
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def encode_text(model: Any, tokens: Tensor) -> Tensor:
    """Return L2-normalised caption features, (captions, D)."""
    return F.normalize(model.encode_text(tokens), dim=-1)


def _text_parameters(model: Any) -> list[nn.Parameter]:
    return [
        parameter
        for name, parameter in model.named_parameters()
        if not name.startswith("visual.") and name != "logit_scale"
    ]


def _with_unknown(tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Replace a tenth of the words of half of the captions, sparing start marks, end marks and padding."""
    marks = (tokens == tokens.max()) | (tokens == tokens[0, 0]) | (tokens == 0)
    chosen = torch.rand(tokens.shape, generator=generator) < 0.1
    captions = torch.rand(len(tokens), 1, generator=generator) < 0.5
    return tokens.masked_fill(chosen & captions & ~marks, UNKNOWN)
