"""The library's loop and the toolbox's trainer are one training: same weights, bit by bit, and same choices."""

from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.fit.fitting import Fitting, Given, fit_model
from amu_raft.fit.settings import OTHERS, FitSettings
from amu_raft.fit.training_loop import train
from amu_raft.methods import get_method, method_names
from tests.trainers.conftest import BuildTrainer

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
    train(other.method, other.train_loader_x, other.recipe, after_epoch=lambda done, loss: losses.append(loss))
    assert same(other.method.state_dict(), trainer.method.state_dict()) and len(losses) == trainer.max_epoch
