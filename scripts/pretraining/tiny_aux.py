"""Train the tiny aux encoder: SimCLR on unlabelled procedural images."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from amu_raft.backbones.preprocess import IMAGENET_MEAN, IMAGENET_STD
from amu_raft.backbones.residual_network import BasicBlock, ResidualNetwork
from scripts.pretraining.unlabelled import draw_unlabelled
from scripts.pretraining.views import random_views
from scripts.pretraining.visual_tower import warmed_cosine

WIDTHS = [24, 48, 96, 192]
STEM_KERNEL = 5
INPUT_RESOLUTION = 32
PROJECTION = 64
BATCH = 256
PEAK_LEARNING_RATE = 2e-3
TEMPERATURE = 0.1


@dataclass(frozen=True)
class AuxBudget:
    """How long to train.

    Attributes:
        samples: Images that the encoder sees, each in two views.
        pool: Different images among them.
    """

    samples: int = 76_800
    pool: int = 12_000


@dataclass(frozen=True)
class TrainedAux:
    """A trained tiny aux encoder.

    Attributes:
        state: State dict in torchvision's layout, with the input resolution beside.
        losses: Loss of each step.
    """

    state: dict[str, Tensor]
    losses: list[float]


def train_tiny_aux(budget: AuxBudget, *, seed: int) -> TrainedAux:
    """Train the tiny aux encoder on procedural images that have no labels (SimCLR)."""
    torch.manual_seed(seed)  # the network's first weights come from the global generator
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(draw_unlabelled(budget.pool, seed=seed)).permute(0, 3, 1, 2)
    network = ResidualNetwork(
        BasicBlock, [1, 1, 1, 1], widths=WIDTHS, stem_width=WIDTHS[0], stem_kernel=STEM_KERNEL, max_pool=False
    )
    width = WIDTHS[-1]
    projector = nn.Sequential(
        nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, PROJECTION)
    )
    model = nn.Sequential(network, projector).train().to(memory_format=torch.channels_last)
    steps = budget.samples // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmed_cosine(step, steps))
    losses = []
    for _ in tqdm(range(steps), desc="aux encoder", unit="step"):
        batch = images[torch.randint(len(images), (BATCH,), generator=generator)].float() / 255
        views = [random_views(batch, generator, size=INPUT_RESOLUTION) for _ in range(2)]
        loss = contrast_loss(model(_normalised(torch.cat(views))), temperature=TEMPERATURE)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return TrainedAux(_stored(network), losses)


def contrast_loss(projections: Tensor, *, temperature: float) -> Tensor:
    """Return SimCLR's loss: each view has to find the other view of its image among all the rest.

    Args:
        projections: (2 N, D); rows i and N + i are two views of image i.
        temperature: Divisor of the cosines, > 0.

    Source:
        SimCLR (ICML 2020), normalised temperature-scaled cross-entropy.
    """
    unit = F.normalize(projections, dim=1)
    logits = unit @ unit.T / temperature
    logits = logits.masked_fill(torch.eye(len(unit), dtype=torch.bool), float("-inf"))
    partners = torch.arange(len(unit)).roll(len(unit) // 2)
    return F.cross_entropy(logits, partners)


def _normalised(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def _stored(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict in half precision but for the norms; the resolution tells the loader of the small stem."""
    state = {
        key: tensor.detach().clone().contiguous()
        if "bn" in key or ".downsample.1." in key
        else tensor.half().contiguous()
        for key, tensor in network.state_dict().items()
    }
    return {**state, "input_resolution": torch.tensor(INPUT_RESOLUTION)}
