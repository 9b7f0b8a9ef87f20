"""What the toolbox's training loop costs per step beyond the torch code that it runs.

    python -m benchmarks.toolbox_step

One linear layer is trained by the toolbox, with event files and without, and by a bare loop that does the same work:
forward, cross-entropy, backward, SGD step, the loss as a number, cosine schedule. The loops take turns in one process
on the same batches in memory, so what they share cancels out. That the weights come out equal is checked first.

This measures the overhead over torch, not over upstream Dassl: that is not at hand here.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harness import alternate, spread
from dassl.config import get_cfg_default
from dassl.engine import TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import set_random_seed

BATCH_SIZE, FEATURES, CLASSES = 32, 64, 10
LEARNING_RATE = 0.01


class Linear(TrainerX):
    """A linear layer on batches that are at hand."""

    def __init__(self, cfg: Any, batches: list[dict[str, Tensor]]) -> None:
        self.batches = batches
        super().__init__(cfg)

    def build_data_loader(self) -> None:
        """Take the batches in place of a data set."""
        self.train_loader_x = self.batches  # type: ignore[assignment]
        self.lab2cname = {label: str(label) for label in range(CLASSES)}

    def build_model(self) -> None:
        """Make the layer, its optimiser and its schedule."""
        self.model = nn.Linear(FEATURES, CLASSES)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("linear", self.model, self.optim, self.sched)

    def forward_backward(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """Do one step, as methods do it."""
        images, labels, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(images), labels)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}


def make_batches(steps: int) -> list[dict[str, Tensor]]:
    """Return as many random batches as an epoch has steps."""
    generator = torch.Generator().manual_seed(0)
    zeros = torch.zeros(BATCH_SIZE, dtype=torch.long)
    return [
        {
            "img": torch.randn(BATCH_SIZE, FEATURES, generator=generator),
            "label": torch.randint(CLASSES, (BATCH_SIZE,), generator=generator),
            "domain": zeros,
        }
        for _ in range(steps)
    ]


def make_trainer(batches: list[dict[str, Tensor]], rounds: int) -> Linear:
    """Return the toolbox's trainer, whose ``run_epoch`` trains one epoch."""
    cfg = get_cfg_default()
    cfg.VERBOSE, cfg.USE_CUDA = False, False
    cfg.OPTIM.NAME, cfg.OPTIM.LR, cfg.OPTIM.MAX_EPOCH, cfg.OPTIM.LR_SCHEDULER = "sgd", LEARNING_RATE, rounds, "cosine"
    cfg.freeze()
    set_random_seed(1)
    return Linear(cfg, batches)


def bare_epochs(batches: list[dict[str, Tensor]], rounds: int) -> tuple[Callable[[], None], nn.Module]:
    """Return a function that trains one epoch with torch alone, and the layer that it trains."""
    set_random_seed(1)
    model = nn.Linear(FEATURES, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rounds)
    device = torch.device("cpu")

    def epoch() -> None:
        model.train()
        for batch in batches:
            images, labels = batch["img"].to(device), batch["label"].to(device)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss.item()
        schedule.step()

    return epoch, model


def measure(steps: int, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds per step of each loop in each round but the first, which warms up.

    Raises:
        RuntimeError: If the loops do not train the same weights.
    """
    batches = make_batches(steps)
    plain, writing = (make_trainer(batches, rounds) for _ in range(2))
    loops = {
        "bare torch": bare_epochs(batches, rounds),
        "toolbox": (plain.run_epoch, plain.model),
        "toolbox, event files": (writing.run_epoch, writing.model),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        writing.init_writer(folder)
        seconds = alternate(
            {name: epoch for name, (epoch, _) in loops.items()},
            rounds - 1,
            after_round=lambda: check_equal({name: model for name, (_, model) in loops.items()}),
        )
        writing.close_writer()
    return {name: [second / steps * 1e6 for second in figures] for name, figures in seconds.items()}


def check_equal(models: dict[str, nn.Module]) -> None:
    """Check that all loops have the same weights.

    Raises:
        RuntimeError: Naming a loop whose weights differ.
    """
    (_, first), *others = models.items()
    for name, other in others:
        pairs = zip(first.parameters(), other.parameters(), strict=True)
        if not all(torch.equal(a, b) for a, b in pairs):
            raise RuntimeError(f"The loop {name!r} did not train the weights of the bare loop")


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table of microseconds per step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="steps in an epoch")
    parser.add_argument("--rounds", type=int, default=20, help="epochs of each loop; the first one warms up")
    arguments = parser.parse_args(argv)
    if arguments.steps < 1 or arguments.rounds < 2:
        parser.error("--steps must be at least 1 and --rounds at least 2")
    torch.set_num_threads(1)
    times = measure(arguments.steps, arguments.rounds)
    print(
        f"equal weights after each of {arguments.rounds} epochs of {arguments.steps} steps; torch {torch.__version__}"
    )
    print(f"{'microseconds per step':24}{'min':>8}{'median':>8}{'max':>8}{'overhead':>10}")
    bare = times["bare torch"]
    for name, rounds in times.items():
        overhead = statistics.median(a - b for a, b in zip(rounds, bare, strict=True))
        print(f"{name:24}{''.join(f'{figure:8.1f}' for figure in spread(rounds))}{overhead:10.1f}")


if __name__ == "__main__":
    main()
