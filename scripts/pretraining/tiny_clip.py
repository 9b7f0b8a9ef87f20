"""Train the tiny CLIP and lay it out as OpenAI publishes CLIP."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from clip.model import CLIP
from torch import Tensor, nn
from tqdm import tqdm

from scripts.pretraining.captions import CaptionBook
from scripts.pretraining.renderings import IMAGE_SIZE, draw_pool
from scripts.pretraining.text_tower import UNKNOWN, ReducedVocabulary, encode_text, train_text_tower
from scripts.pretraining.visual_tower import LAST_SCALE, CaptionedPool, train_visual_tower

EMBED_DIM = 64
VISUAL_LAYERS, VISUAL_WIDTH = (1, 1, 1, 1), 8
TEXT_WIDTH, TEXT_HEADS, TEXT_LAYERS = 64, 1, 2
CONTEXT_LENGTH, VOCABULARY = 77, 49408


@dataclass(frozen=True)
class ClipBudget:
    """How long to train.

    Attributes:
        text_steps: Steps of the text tower.
        samples: Images that the visual tower sees.
        pool: Different images among them.
    """

    text_steps: int = 300
    samples: int = 72_000
    pool: int = 24_000


@dataclass(frozen=True)
class TrainedClip:
    """A trained tiny CLIP.

    Attributes:
        state: State dict in OpenAI's layout.
        text_losses: Loss of each step of the text tower.
        visual_losses: Loss of each step of the visual tower.
    """

    state: dict[str, Tensor]
    text_losses: list[float]
    visual_losses: list[float]


def train_tiny_clip(budget: ClipBudget, *, seed: int) -> TrainedClip:
    """Train a tiny CLIP on procedural images: first the text tower, then, with that locked, the visual tower."""
    torch.manual_seed(seed)  # the network's first weights come from the global generator
    generator = torch.Generator().manual_seed(seed)
    book = CaptionBook()
    vocabulary = ReducedVocabulary([caption.text for caption in book.captions])
    model = _new_model(vocabulary)
    text_losses = train_text_tower(
        model, vocabulary.tokens, book.attributes, steps=budget.text_steps, generator=generator
    )
    images, attributes = draw_pool(budget.pool, seed=seed)
    pool = CaptionedPool(images, attributes, book, _caption_features(model, vocabulary.tokens))
    visual_losses = train_visual_tower(
        model.visual, pool, samples=budget.samples, generator=generator, rng=np.random.default_rng([seed, 1])
    )
    return TrainedClip(openai_state(model, vocabulary.token_ids), text_losses, visual_losses)


def openai_state(model: Any, token_ids: Tensor) -> dict[str, Tensor]:
    """Lay a model with a reduced vocabulary out as OpenAI's state dict, in half precision but for the norms.

    Args:
        model: The model.
        token_ids: Row of CLIP's vocabulary of each of the model's tokens.

    Returns:
        The state dict; embeddings of tokens and positions that training never saw are zero.
    """
    state = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    state["token_embedding.weight"] = torch.zeros(VOCABULARY, TEXT_WIDTH).index_copy(
        0, token_ids, state["token_embedding.weight"]
    )
    positions = torch.zeros(CONTEXT_LENGTH, TEXT_WIDTH)
    positions[: len(state["positional_embedding"])] = state["positional_embedding"]
    state["positional_embedding"] = positions
    state["logit_scale"] = torch.tensor(math.log(LAST_SCALE))
    state = {name: tensor if _is_norm(name) else tensor.half() for name, tensor in state.items()}
    state["logit_scale"] = torch.tensor(math.log(LAST_SCALE))
    # OpenAI's archives carry these three numbers beside the weights.
    state["input_resolution"] = torch.tensor(IMAGE_SIZE)
    state["context_length"] = torch.tensor(CONTEXT_LENGTH)
    state["vocab_size"] = torch.tensor(VOCABULARY)
    return state


def _is_norm(name: str) -> bool:
    return any(part in name for part in (".bn", ".ln_", "ln_final", ".downsample.1."))


def _new_model(vocabulary: ReducedVocabulary) -> Any:
    model: Any = CLIP(
        EMBED_DIM,
        IMAGE_SIZE,
        VISUAL_LAYERS,
        VISUAL_WIDTH,
        None,
        vocabulary.context_length,
        len(vocabulary.token_ids),
        TEXT_WIDTH,
        TEXT_HEADS,
        TEXT_LAYERS,
    )
    with torch.no_grad():
        model.token_embedding.weight[UNKNOWN] = 0.0
    for name, parameter in model.visual.named_parameters():
        if name.endswith("bn3.weight"):  # OpenAI starts these at zero; so short a training then never wakes the blocks
            nn.init.ones_(parameter)
    return model


@torch.no_grad()
def _caption_features(model: Any, tokens: Tensor) -> Tensor:
    batches = tqdm(tokens.split(1024), desc="caption features", unit="batch")
    return torch.cat([encode_text(model, batch) for batch in batches])
