import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from amu_raft.backbones.precision import Precision
from amu_raft.fit.training_loop import OPTIMIZERS, build_optimizer, train
from amu_raft.methods import Features, Loss, MethodSettings, Recipe, Task
from tests.amu_raft.fit.counting import Counting

SGD = Recipe(optimizer="sgd", lr=0.5, weight_decay=0.0, momentum=0.0, epochs=2)


class Batches:
    """Batches of one feature, told by hand, the same in every epoch; it notes what is asked of it."""

    def __init__(self, *values: float) -> None:
        self.values, self.asked = values, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return len(self.values)

    def set_epoch(self, epoch: int) -> None:
        self.asked.append(("epoch", epoch))

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for value in self.values:
            self.asked.append(("batch", value))
            yield {"clip": torch.tensor([[value]]), "label": torch.tensor([0])}


class Square(Counting):
    """Loss (w - x)^2 / 2 of a weight w and a feature x: a step of rate r moves w by r (x - w)."""

    def build(self, task: Task) -> None:
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[Any] = []

    def rates(self, recipe: Recipe, steps_per_epoch: int) -> list[float]:
        return [0.5, 0.25, 1.0, 0.125][: recipe.epochs * steps_per_epoch]

    def loss(self, features: Features, labels: Tensor) -> Loss:
        self.seen.append((sorted(features), labels.tolist(), self.training))
        total = (self.weight - features["clip"]).square().sum() / 2
        return Loss(total, features["clip"])


def make(kind: type[Counting] = Square) -> Any:
    return kind(MethodSettings(), Task(torch.eye(1), 1.0, {"clip": 1}, Precision("fp32")))


def test_two_epochs_by_hand() -> None:
    method, batches, ends = make(), Batches(8.0, 4.0), []
    method.eval()

    def after_epoch(done: int, loss: float) -> None:
        ends.append((done, loss, method.weight.item()))
        method.eval()  # as choosing on validation images leaves it

    train(method, batches, SGD, seed=0, after_epoch=after_epoch)
    # w: 0, by half of 8 to 4, stays at 4; then all of 4 to 8, by an eighth of -4 to 7.5.
    assert ends == [(1, (32 + 0) / 2, 4.0), (2, (8 + 8) / 2, 7.5)]
    assert batches.asked == [("epoch", 0), ("batch", 8.0), ("batch", 4.0), ("epoch", 1), ("batch", 8.0), ("batch", 4.0)]
    assert method.seen == [(["clip"], [0], True)] * 4


def test_only_what_is_trained_changes() -> None:
    class Partly(Square):
        def build(self, task: Task) -> None:
            super().build(task)
            self.part, self.other = nn.Linear(1, 1), nn.Linear(1, 1)

        @property
        def trained(self) -> nn.Module:
            return self.part

        def loss(self, features: Features, labels: Tensor) -> Loss:
            return Loss(self.other(self.part(features["clip"])).sum() + self.weight.sum(), features["clip"])

    method = make(Partly)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    train(method, Batches(8.0), SGD, seed=0, after_epoch=lambda done, loss: None)
    changed = {name for name, value in method.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"part.weight", "part.bias"}


def test_losses_are_scaled_as_the_precision_wants() -> None:
    """In half precision on a GPU small gradients would vanish."""
    calls = []

    class Scaler:
        def scale(self, loss: Tensor) -> Tensor:
            return loss * 4

        def step(self, optimizer: torch.optim.Optimizer) -> None:
            [group] = optimizer.param_groups
            for parameter in group["params"]:
                parameter.grad /= 4
            calls.append("step")
            optimizer.step()

        def update(self) -> None:
            calls.append("update")

    class Half(Precision):
        def gradient_scaler(self, device: Any) -> Any:
            calls.append(str(device))
            return Scaler()

    method, losses = make(), []
    method.task = Task(torch.eye(1), 1.0, {"clip": 1}, Half("fp32"))
    train(method, Batches(8.0, 4.0), SGD, seed=0, after_epoch=lambda done, loss: losses.append(loss))
    assert calls == ["cpu"] + ["step", "update"] * 4 and losses == [16.0, 8.0] and method.weight.item() == 7.5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_training_and_enters_nothing(value: float) -> None:
    class Third(Batches):
        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            yield from Batches(8.0, value if len(self.asked) > 1 else 4.0).__iter__()

    method, ends = make(), []
    with pytest.raises(FloatingPointError, match=r"^loss is (nan|inf) at epoch 2, batch 2; try a smaller lr$"):
        train(method, Third(0.0, 0.0), SGD, seed=0, after_epoch=lambda done, loss: ends.append(done))
    assert ends == [1] and method.weight.item() == 8.0


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("adamw", torch.optim.AdamW, {"lr": 0.5, "weight_decay": 0.25, "eps": 0.125}),
        ("adam", torch.optim.Adam, {"lr": 0.5, "weight_decay": 0.25, "eps": 0.125}),
        ("sgd", torch.optim.SGD, {"lr": 0.5, "weight_decay": 0.25, "momentum": 0.75}),
    ],
)
def test_optimizers_are_the_recipes(name: str, kind: type[torch.optim.Optimizer], values: dict[str, float]) -> None:
    module = nn.Linear(2, 2)
    recipe = Recipe(optimizer=name, lr=0.5, weight_decay=0.25, eps=0.125, momentum=0.75)
    found = build_optimizer(module, recipe)
    [group] = found.param_groups
    assert type(found) is kind and values.items() <= group.items()
    assert {id(parameter) for parameter in group["params"]} == {id(parameter) for parameter in module.parameters()}
    with pytest.raises(ValueError, match=r"^unknown optimizer 'magic'; choose from adamw, adam, sgd$"):
        build_optimizer(module, recipe.changed(optimizer="magic"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name: str) -> None:
    class Long(Square):
        def rates(self, recipe: Recipe, steps_per_epoch: int) -> list[float]:
            return [0.1] * (recipe.epochs * steps_per_epoch)

    method, losses = make(Long), []
    train(
        method,
        Batches(1.0),
        SGD.changed(optimizer=name, epochs=5),
        seed=0,
        after_epoch=lambda done, loss: losses.append(loss),
    )
    assert losses[0] == 0.5 and losses == sorted(losses, reverse=True) and len(set(losses)) == 5
    assert math.isfinite(losses[-1]) and 0 < method.weight.item() <= 1
