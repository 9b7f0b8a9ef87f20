"""The library's loop and the toolbox's trainer are one training: same weights, bit by bit, and same choices."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from amu_raft.fit.fitting import Fitting, Given, fit_model
from amu_raft.fit.settings import OTHERS, FitSettings
from amu_raft.fit.training_loop import train
from amu_raft.methods import Loss, Method, Recipe, Task, get_method, method_names, register
from tests.trainers.conftest import BuildTrainer
from trainers.base.registering import register_trainer

LEARNING = [name for name in method_names() if get_method(name).learns == "gradient"]


def given(items: Any) -> Given:
    return Given([item.impath for item in items], [item.label for item in items])


def fitted(trainer: Any, *, seed: int) -> Any:
    """Fit what the trainer trains, without it."""
    data = trainer.dm.dataset
    fitting = Fitting(
        kind=trainer.kind,
        settings=FitSettings(trainer.method_settings, trainer.recipe, {**OTHERS, "store": "off"}),
        training=given(data.train_x),
        validation=given(data.val),
        names=trainer.classnames,
        keys=[str(number) for number in range(trainer.num_classes)],
        prompts=trainer.prompts,
        backbone=trainer.cfg.MODEL.BACKBONE.NAME,
        seed=seed,
        weights=None,
        device=torch.device("cpu"),
        data={},
        say=lambda line: None,
    )
    return fit_model(fitting).model


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", method_names())
def test_fit_is_the_trainer_without_the_toolbox(name: str, build: BuildTrainer) -> None:
    trainer = build(name)
    if trainer.kind.learns != "nothing":
        trainer.train()
    trainer.test()
    model = fitted(trainer, seed=trainer.cfg.SEED)
    assert same(model.method.state_dict(), trainer.method.state_dict())
    assert model.method.choices == trainer.method.choices
    if trainer.kind.learns == "gradient":
        assert not same(fitted(trainer, seed=5).method.state_dict(), trainer.method.state_dict())


@pytest.mark.parametrize("name", LEARNING)
def test_the_loop_on_the_trainers_own_batches(name: str, build: BuildTrainer, tmp_path: Path) -> None:
    trainer, other = build(name), build(name, "OUTPUT_DIR", str(tmp_path / "other"))
    start = {key: value.clone() for key, value in trainer.method.state_dict().items()}
    trainer.train()
    assert not same(start, trainer.method.state_dict())
    other.before_train()
    losses = []
    train(
        other.method,
        other.train_loader_x,
        other.recipe,
        seed=other.cfg.SEED,
        after_epoch=lambda done, loss: losses.append(loss),
    )
    assert same(other.method.state_dict(), trainer.method.state_dict()) and len(losses) == trainer.max_epoch


class Dropping(Method):
    """Draws its first values, and drops features while it trains."""

    learns = "gradient"
    recipe = Recipe(epochs=4, batch_size=4)

    def build(self, task: Task) -> None:
        self.layer = nn.Linear(len(task.text_columns), self.num_classes)

    def branches(self, features: Any) -> Any:
        dropped = nn.functional.dropout(features["clip"].float(), training=self.training)
        return {"zero_shot": self.zero_shot(features), "adapted": self.layer(dropped)}

    def loss(self, features: Any, labels: torch.Tensor) -> Loss:
        logits = self.branches(features)["adapted"]
        return Loss(nn.functional.cross_entropy(logits, labels), logits)


class Losing(Dropping):
    """Sets what no checkpoint holds."""

    def build(self, task: Task) -> None:
        super().build(task)
        self.register_buffer("mean", torch.zeros(3))

    def start(self, training: Any) -> None:
        self.mean = torch.ones(3)

    @property
    def trained(self) -> nn.Module:
        return self.layer


def test_what_a_method_draws_depends_on_the_seed_alone(
    build: BuildTrainer, tmp_path: Path, trainers_of_this_test: None
) -> None:
    register_trainer(register(Dropping), "here")
    torch.manual_seed(1)
    trainer = build("Dropping", "TRAIN.CHECKPOINT_FREQ", "2", "OUTPUT_DIR", str(tmp_path / "whole"))
    trainer.train()
    torch.manual_seed(2)
    assert same(fitted(trainer, seed=trainer.cfg.SEED).method.state_dict(), trainer.method.state_dict())

    # Another process would begin with generators of another state, and resume where this one was killed.
    kept = tmp_path / "whole" / "model"
    (kept / "model.pth.tar-4").unlink()
    (kept / "checkpoint").write_text("model.pth.tar-2\n")
    torch.manual_seed(3)
    again = build("Dropping", "TRAIN.CHECKPOINT_FREQ", "2", "OUTPUT_DIR", str(tmp_path / "whole"))
    again.train()
    assert again.start_epoch == 2 and same(again.method.state_dict(), trainer.method.state_dict())


def test_what_no_checkpoint_would_hold_is_refused(build: BuildTrainer, trainers_of_this_test: None) -> None:
    register_trainer(register(Losing), "here")
    with pytest.raises(ValueError, match=r"Losing\.start sets mean, which is no part of `trained`"):
        build("Losing").train()
