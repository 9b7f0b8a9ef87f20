"""From a method to its trainer, and trainers that are no method's."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from amu_raft.methods import get_method, method_names
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from trainers.base.registering import import_strangers, register_trainer
from trainers.base.trainer import FewShotTrainer

pytestmark = pytest.mark.usefixtures("trainers_of_this_test")
METHOD = '''
"""Prototypes (2017): the class means of the few images."""

from dataclasses import dataclass

import torch.nn.functional as F

from amu_raft.methods import Method, MethodSettings, Recipe, register, unit, within


@dataclass(frozen=True)
class Settings(MethodSettings):
    share: float = {share}

    def __post_init__(self):
        within(self, "share", 0, 1)


@register
class Prototypes(Method):
    """Class means in place of texts."""

    Settings = Settings
    recipes = {{"tiny": Recipe(threads=1)}}
    learns = "closed_form"
    tensors = {{"means": "C D"}}

    def start(self, training):
        members = F.one_hot(training.labels, self.num_classes).float()
        self.means = F.normalize(members.t() @ unit({{"clip": training.plain("clip")}}))

    def branches(self, features):
        zero_shot, means = self.zero_shot(features), self.spread(unit(features) @ self.means.t())
        share = self.settings.share
        return {{"zero_shot": zero_shot, "adapted": (1 - share) * zero_shot + share * self.task.logit_scale * means}}
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for modules; the names that they take are given back."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def written(folder: Path, name: str = "prototypes.py", *, share: float = 0.5) -> str:
    (folder / name).write_text(METHOD.format(share=share))
    return str(folder / name)


def test_the_trainer_of_a_method() -> None:
    kind = get_method("RAFT")
    before = TRAINER_REGISTRY.get("RAFT")
    trainer = register_trainer(kind, "somewhere")
    assert TRAINER_REGISTRY.get("RAFT") is trainer is not before
    assert issubclass(trainer, FewShotTrainer) and trainer.kind is kind and trainer.trains
    assert (trainer.__name__, trainer.__module__, trainer.__doc__) == ("RAFT", "somewhere", kind.__doc__)
    assert not register_trainer(get_method("ZeroshotCLIP"), "somewhere").trains


def test_a_strangers_method_gets_a_trainer(here: Path) -> None:
    import_strangers([])
    assert "Prototypes" not in TRAINER_REGISTRY.registered_names()
    own = {name: TRAINER_REGISTRY.get(name) for name in method_names()}
    import_strangers([written(here)])
    trainer = TRAINER_REGISTRY.get("Prototypes")
    assert trainer.kind is get_method("prototypes") and trainer.__module__ == "prototypes"
    assert {name: TRAINER_REGISTRY.get(name) for name in own} == own  # nobody else's is made anew
    import_strangers([written(here)])
    assert TRAINER_REGISTRY.get("Prototypes") is trainer


def test_a_method_that_is_loaded_again_gets_its_trainer_again(here: Path) -> None:
    path = written(here)
    import_strangers([path])
    del sys.modules["prototypes"]
    written(here, share=0.25)
    import_strangers([path])
    kind = get_method("Prototypes")
    settings: Any = kind.Settings()
    assert settings.share == 0.25 and TRAINER_REGISTRY.get("Prototypes").kind is kind


def test_a_trainer_of_ones_own_stays(here: Path) -> None:
    path = written(here)
    with Path(path).open("a") as file:
        file.write(
            "\n\nfrom dassl.engine import TRAINER_REGISTRY, TrainerX\n\n\n"
            "class Own(TrainerX):\n    pass\n\n\nOwn.__name__ = 'Prototypes'\nTRAINER_REGISTRY.register(Own)\n"
        )
    import_strangers([path])
    assert not issubclass(TRAINER_REGISTRY.get("Prototypes"), FewShotTrainer)


def test_a_strangers_method_through_the_command_line(here: Path, train_main: Any, figures_of: Any) -> None:
    module = ["--import", written(here)]
    run = train_main("Prototypes", *module)
    assert run.status == 0, run.err
    assert run.result["config"] == "tiny" and run.result["cfg"]["TRAINER"]["PROTOTYPES"]["SHARE"] == 0.5
    assert set(run.result["branches"]) == {"zero_shot", "adapted"} and run.result["accuracy"] > 0
    assert (run.folder / "model" / "model.pth.tar-1").is_file() and (run.folder / "model-info.json").is_file()
    again = train_main("Prototypes", *module, "--eval-only", "--model-dir", str(run.folder))
    assert figures_of(again.result) == {**figures_of(run.result), "mode": "eval"}
    bad = train_main("Prototypes", *module, "TRAINER.PROTOTYPES.SHARE", "1.5")
    assert bad.error == "error: TRAINER.PROTOTYPES.SHARE must be from 0 to 1, got 1.5"


def test_a_module_that_fails_is_one_line(here: Path, train_main: Any) -> None:
    path = here / "broken.py"
    path.write_text("1 / 0")
    run = train_main("AMU", "--import", str(path))
    assert run.status == 1 and run.error == f"error: --import {path}: ZeroDivisionError: division by zero"
    assert "--import nowhere_at_all: ModuleNotFoundError" in train_main("AMU", "--import", "nowhere_at_all").error


# -------------------------------------------------------------------------------------------------- no method's trainer


class Coop(TrainerX):  # type: ignore[misc]
    """A trainer as CoOp's authors write one: all of it its own."""

    def build_model(self) -> None:
        self.model = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, self.num_classes))
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("prompt_learner", self.model, self.optim, self.sched)

    def forward_backward(self, batch: Any) -> dict[str, float]:
        images, labels = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(images), labels)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    def parse_batch_train(self, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return batch["img"].to(self.device), batch["label"].to(self.device)


def test_a_trainer_in_coops_manner_trains_without_a_model_folder(train_main: Any) -> None:
    TRAINER_REGISTRY.register(Coop)
    size = ("INPUT.SIZE", "(64, 64)", "INPUT.TRANSFORMS", "('normalize',)", "DATALOADER.NUM_WORKERS", "0")
    run = train_main("Coop", *size, "OPTIM.MAX_EPOCH", "2")
    assert run.status == 0, run.err
    assert run.result["trainer"] == "Coop" and run.result["total"] == 9 and run.result["zero_shot_accuracy"] is None
    assert (run.folder / "prompt_learner" / "model.pth.tar-2").is_file()
    line = "No model-info.json is written, so predict.py cannot use this model: trainer Coop is no registered method"
    assert line in run.out.splitlines()
    assert not (run.folder / "model-info.json").exists() and not (run.folder / "model.safetensors").exists()
