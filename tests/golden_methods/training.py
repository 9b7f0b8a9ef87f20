"""What the released training loops have in common: batches in a given order, the room's loss, a rate for every step."""

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from amu_raft.methods.contract import Method
from amu_raft.methods.given import Features
from amu_raft.methods.recipe import Recipe
from amu_raft.methods.schedules import TableScheduler
from amu_raft.methods.selection import accuracy_percent
from dassl.config import get_cfg_default
from dassl.optim import build_optimizer


def make_optimizer(module: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the toolbox's optimiser for what is learned."""
    settings = get_cfg_default().OPTIM
    settings.NAME, settings.LR, settings.WEIGHT_DECAY = recipe.optimizer, recipe.lr, recipe.weight_decay
    groups = [{"params": list(module.parameters()), "eps": recipe.eps}]
    optimizer: Optimizer = build_optimizer(module, settings, param_groups=groups)
    return optimizer


class Training:
    """A method's training, an epoch at a time.

    Attributes:
        steps: Loss, rate in use and accuracy of the batch, of every step so far.
        first_gradients: Gradient of every parameter in the first step.
    """

    def __init__(self, method: Method, recipe: Recipe, num_images: int) -> None:
        self.method = method
        self.batch_size = recipe.batch_size
        self.optimizer = make_optimizer(method.trained, recipe)
        rates = method.rates(recipe, -(-num_images // recipe.batch_size))
        self.scheduler = TableScheduler(self.optimizer, rates)
        self.steps: dict[str, list[float]] = {"loss": [], "lr": [], "train_acc": []}
        self.first_gradients: dict[str, Tensor] = {}

    def epoch(self, features: Features, labels: Tensor, order: Tensor) -> None:
        """Take one step for each piece of ``order`` (N,)."""
        for batch in order.split(self.batch_size):
            loss = self.method.loss({name: values[batch] for name, values in features.items()}, labels[batch])
            self._record(loss.total.item(), accuracy_percent(loss.logits, labels[batch]))
            self.optimizer.zero_grad()
            loss.total.backward()
            if not self.first_gradients:
                self.first_gradients = {
                    name: parameter.grad.clone()
                    for name, parameter in self.method.trained.named_parameters()
                    if parameter.grad is not None
                }
            self.optimizer.step()
            self.scheduler.step()

    def _record(self, loss: float, accuracy: float) -> None:
        values: dict[str, Any] = {"loss": loss, "lr": self.optimizer.param_groups[0]["lr"], "train_acc": accuracy}
        for name, value in values.items():
            self.steps[name].append(value)
