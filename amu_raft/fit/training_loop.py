"""The plain training loop: what a trainer of the toolbox does, for a reader to see in a minute."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from amu_raft.features.views import derive_seed, seed_generators, seeded_randomness
from amu_raft.methods import Method, Recipe, TrainingFeatures
from amu_raft.methods.schedules import TableScheduler

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda groups, recipe: torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay),
    "adam": lambda groups, recipe: torch.optim.Adam(groups, lr=recipe.lr, weight_decay=recipe.weight_decay),
    "sgd": lambda groups, recipe: torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    ),
}


class Batches(Protocol):
    """Training batches of features with "label"."""

    def __len__(self) -> int:
        """Number of batches in an epoch."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Go through the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass is."""


def start_method(method: Method, training: TrainingFeatures, seed: int) -> None:
    """Let a method begin from the training features.

    Args:
        method: It is built.
        training: Features of the training images.
        seed: Of what it draws at random.

    Raises:
        ValueError: If it sets a tensor that checkpoints would not hold, so that evaluation and resume would lack it.
    """
    inside = {id(tensor) for tensor in method.trained.state_dict(keep_vars=True).values()}
    beside = {name: tensor for name, tensor in method.state_dict(keep_vars=True).items() if id(tensor) not in inside}
    before = {name: tensor.detach().clone() for name, tensor in beside.items()}
    with seeded_randomness(derive_seed(seed)):
        method.start(training)
    for name, tensor in method.state_dict().items():
        if name in before and not torch.equal(tensor, before[name]):
            raise ValueError(
                f"{type(method).__name__}.start sets {name}, which is no part of `trained`, so that checkpoints "
                "would lack it; let `trained` hold it"
            )


def train(
    method: Method, batches: Batches, recipe: Recipe, *, seed: int, after_epoch: Callable[[int, float], None]
) -> None:
    """Train a method from its start.

    Given the same features, order and settings it gives the weights that the toolbox's trainer gives, bit by bit.

    Args:
        method: It has started.
        batches: What it is trained on.
        recipe: How.
        seed: Of what the method draws at random; each epoch begins anew from it, so that resumed runs go on alike.
        after_epoch: Called with the number of epochs done and the mean loss.

    Raises:
        FloatingPointError: If a loss is not finite, with epoch and batch, counted from 1.
    """
    module = method.trained
    optimizer = build_optimizer(module, recipe)
    scaler = method.task.precision.gradient_scaler(method.text_columns.device)
    schedule = TableScheduler(optimizer, method.rates(recipe, len(batches)))
    for epoch in range(recipe.epochs):
        batches.set_epoch(epoch)
        seed_generators(derive_seed(seed, epoch))
        module.train()
        losses = []
        for number, batch in enumerate(batches, start=1):
            labels = batch.pop("label")
            loss = method.loss(batch, labels).total
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"loss is {loss.item()} at epoch {epoch + 1}, batch {number}; try a smaller lr"
                )
            optimizer.zero_grad()
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            losses.append(loss.item())
        after_epoch(epoch + 1, sum(losses) / len(losses))


def build_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser of a module's parameters.

    Raises:
        ValueError: If it is unknown.
    """
    check_optimizer(recipe.optimizer)
    group: dict[str, Any] = {"params": list(module.parameters()), "eps": recipe.eps, "fused": True}
    return OPTIMIZERS[recipe.optimizer]([group], recipe)


def check_optimizer(name: str) -> None:
    """Refuse an optimiser that is none of ``OPTIMIZERS``.

    Raises:
        ValueError: Naming those that are.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; choose from {', '.join(OPTIMIZERS)}")
