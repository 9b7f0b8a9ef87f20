"""Trainers written as CoOp-style repositories write them, through every public path of the toolbox."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dassl.data import DatasetWrapper
from dassl.data.datasets import build_dataset
from dassl.data.transforms import build_transform
from dassl.engine import SimpleTrainer, TrainerXU, build_trainer
from dassl.utils import load_checkpoint, set_random_seed

pytestmark = [
    pytest.mark.usefixtures("registered"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # torch about its old spelling of mixed precision
    pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning"),
]
TRAINED = ["Prompts", "TwoParts", "MultiModal", "SelfEnsemble", "Pairs", "OwnLoop"]
MODELS = {
    "Prompts": ["prompt_learner"],
    "TwoParts": ["adapter", "bias", "clip"],
    "MultiModal": ["MultiModalPromptLearner"],
    "SelfEnsemble": ["VLPromptLearner", "average"],
    "Pairs": ["head"],
    "OwnLoop": ["head"],
}
Build = Callable[..., Any]


@pytest.fixture
def build(project: Any, arguments: Callable[..., list[str]], tmp_path: Path) -> Build:
    """Make a trainer as the repository's main does, with a log or without."""

    def make(trainer: str, folder: str = "run", *flags: str, **keys: Any) -> Any:
        keys = {"DATASET__ALL_AS_UNLABELED": trainer == "Pairs", **keys}
        cfg = project.setup_cfg(project.parse_args(arguments(trainer, tmp_path / folder, *flags, **keys)))
        set_random_seed(cfg.SEED)
        return build_trainer(cfg)

    return make


def same_batches_from(trainer: Any) -> None:
    """Let the random numbers of an epoch depend on its number alone, so that stopped and whole runs can be compared."""
    trainer.before_epoch = lambda: set_random_seed(100 + trainer.epoch)


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name in trainer.get_model_names()
        for key, value in trainer._models[name].state_dict().items()
    }


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_every_trainer_of_the_repository_is_tested(project: Any) -> None:
    assert {*TRAINED, "FrozenCLIP"} == set(project.registered[1])


@pytest.mark.parametrize("name", TRAINED)
def test_training_and_evaluation(
    name: str, build: Build, tmp_path: Path, accuracies: Any, rates: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = build(name)
    before = weights(trainer)
    trainer.train()
    text = capsys.readouterr().out
    assert trainer.get_model_names() == MODELS[name]
    assert not equal(weights(trainer), before)
    for model in MODELS[name]:
        assert (tmp_path / "run" / model / "checkpoint").read_text() == "model.pth.tar-4\n"
    assert list((tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*"))
    last = text.rpartition("Finish training\n")[2]
    assert last.startswith("Deploy the last-epoch model\nEvaluate on the *test* set\n=> result\n* total: 21\n")
    first_of_epoch = [shown[0] for shown in rates(text).values()]
    assert first_of_epoch == ["1.0000e-05", "2.0000e-02", "1.7071e-02", "1.0000e-02"]
    fresh = build(name, "evaluation")
    fresh.load_model(str(tmp_path / "run"), epoch=4)
    fresh.test()
    assert accuracies(capsys.readouterr().out) == accuracies(last)
    with pytest.raises(FileNotFoundError):
        fresh.load_model(str(tmp_path / "run"), epoch=3)


class StopError(Exception):
    """What ends a run in the middle."""


@pytest.mark.parametrize("name", TRAINED)
def test_a_stopped_run_resumes_as_if_it_had_not_been(
    name: str, build: Build, rates: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = build(name, "whole")
    same_batches_from(whole)
    whole.train()
    expected = rates(capsys.readouterr().out)

    stopped = build(name, "parts", TRAIN__CHECKPOINT_FREQ=1)

    def fail() -> None:
        set_random_seed(100 + stopped.epoch)
        if stopped.epoch == 2:
            raise StopError

    stopped.before_epoch = fail
    with pytest.raises(StopError):
        stopped.train()
    capsys.readouterr()
    resumed = build(name, "elsewhere", "--resume", str(tmp_path / "parts"))
    same_batches_from(resumed)
    resumed.train()
    text = capsys.readouterr().out
    assert f"Found checkpoint at {tmp_path}/parts (will resume training)\n" in text
    assert rates(text) == {epoch: expected[epoch] for epoch in (3, 4)}
    assert equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("name", TRAINED)
def test_best_validation_epoch_is_kept_and_deployed(
    name: str, build: Build, accuracies: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = build(name, TEST__FINAL_MODEL="best_val", OPTIM__MAX_EPOCH=3)
    trainer.train()
    text = capsys.readouterr().out
    figures = accuracies(text)
    assert text.count("Evaluate on the *val* set") == 3
    best = max(figures[:3])
    assert trainer.best_result == pytest.approx(best, abs=0.05)
    checkpoint = load_checkpoint(str(tmp_path / "run" / MODELS[name][0] / "model-best.pth.tar"))
    assert (checkpoint["epoch"], checkpoint["val_result"]) == (figures.index(best) + 1, trainer.best_result)
    assert "Deploy the model with the best val performance\n" in text
    build(name, "evaluation").load_model(str(tmp_path / "run"))


def test_zero_shot_needs_no_checkpoint(build: Build, accuracies: Any, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = build("FrozenCLIP")
    trainer.load_model("", epoch=None)
    result = trainer.test()
    text = capsys.readouterr().out
    assert "Note that load_model() is skipped as no pretrained model is given" in text
    assert accuracies(text) == [pytest.approx(result, abs=0.05)]


@pytest.mark.parametrize("name", ["Prompts", "MultiModal", "SelfEnsemble"])
def test_base_to_new(
    name: str, build: Build, accuracies: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = build(name, DATASET__SUBSAMPLE_CLASSES="base")
    base.train()
    assert "SUBSAMPLE BASE CLASSES!\n" in capsys.readouterr().out
    new = build(name, "new", DATASET__SUBSAMPLE_CLASSES="new")
    assert (base.dm.dataset.classnames, new.dm.dataset.classnames) == (
        ["red", "green", "blue", "white"],
        ["black", "dark_yellow", "grey"],
    )
    tokens = {key: value for key, value in weights(new).items() if key.endswith(("token_prefix", "token_suffix"))}
    new.load_model(str(tmp_path / "run"), epoch=4)
    loaded = weights(new)
    assert all(torch.equal(loaded[key], value) for key, value in tokens.items()) and tokens
    (ctx,) = (key for key in loaded if key.endswith("ctx") and not key.startswith("average"))
    assert torch.equal(loaded[ctx], weights(base)[ctx])
    capsys.readouterr()
    new.test()
    text = capsys.readouterr().out
    assert "* total: 9\n" in text and len(accuracies(text)) == 1


@pytest.mark.parametrize("precision", ["amp", "amp_cuda"])
def test_mixed_precision_in_both_spellings(precision: str, build: Build, tmp_path: Path) -> None:
    plain = build("Prompts", "plain")
    plain.train()
    mixed = build("Prompts", "mixed", TRAINER__PROMPTS__PREC=precision)
    mixed.train()
    ctx = [trainer.model.prompt_learner.ctx for trainer in (plain, mixed)]
    assert torch.isfinite(ctx[1]).all()
    if precision == "amp_cuda" and not torch.cuda.is_available():
        assert torch.equal(*ctx)  # torch switches the old spelling off without CUDA
    else:
        assert 0 < (ctx[0] - ctx[1]).abs().max() < 0.1
    assert load_checkpoint(str(tmp_path / "mixed" / "prompt_learner" / "model.pth.tar-4"))["epoch"] == 4


def test_wrapped_models_are_the_registered_ones(build: Build, tmp_path: Path) -> None:
    trainer = build("MultiModal", OPTIM__MAX_EPOCH=1)
    trainer.train()
    assert isinstance(trainer.model, torch.nn.DataParallel)
    saved = load_checkpoint(str(tmp_path / "run" / "MultiModalPromptLearner" / "model.pth.tar-1"))["state_dict"]
    assert {"VPT", "prompt_learner.ctx"} <= saved.keys()
    assert saved["VPT"].abs().sum() > 0


def test_each_model_has_its_own_rate(build: Build) -> None:
    trainer = build("TwoParts", OPTIM__WARMUP_EPOCH=-1)
    trainer.model_update("bias")  # torch warns where a schedule goes before its optimiser
    assert trainer.get_current_lr() == trainer.get_current_lr("adapter") == 0.02
    assert [group["lr"] for group in trainer.optim_bias.param_groups] == [0.02, 0.5]
    trainer.update_lr("bias")
    assert trainer.get_current_lr("adapter") == 0.02 > trainer.get_current_lr("bias")


def test_pairs_need_unlabelled_images(build: Build) -> None:
    assert isinstance(build("Pairs"), TrainerXU)
    with pytest.raises(ValueError, match="needs unlabelled data"):
        build("Pairs", "other", DATASET__ALL_AS_UNLABELED=False).train()


def test_own_loop_reassigned_the_transform(build: Build) -> None:
    trainer = build("OwnLoop", OPTIM__MAX_EPOCH=1)
    assert SimpleTrainer in type(trainer).__bases__
    first = type(trainer.train_loader_x.dataset).__name__
    augmented = trainer.train_loader_x.dataset.transform
    trainer.train()
    assert first == "Marked"
    assert trainer.train_loader_x.dataset.transform is trainer.test_loader.dataset.transform is not augmented
    assert trainer.features.shape == (14, 64)


def test_a_cached_sample_trains_the_same_weights(
    build: Build, blobs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reading the cache leaves Python's generator behind, but batches and weights come from torch's."""
    shutil.rmtree(blobs / "blobs" / "split_fewshot", ignore_errors=True)
    outcomes = []
    for folder in ("sampled", "cached"):
        trainer = build("Prompts", folder, OPTIM__MAX_EPOCH=2)
        state = random.getstate()
        trainer.train()
        files = [item._impath for item in trainer.train_loader_x.dataset.data_source]
        outcomes.append((files, weights(trainer), state))
    text = capsys.readouterr().out
    assert text.index("Saving preprocessed few-shot data to") < text.index("Loading preprocessed few-shot data from")
    assert outcomes[0][0] == outcomes[1][0]
    assert equal(outcomes[0][1], outcomes[1][1])
    assert outcomes[0][2] != outcomes[1][2]


def test_features_are_extracted_by_a_script_without_a_trainer(
    project: Any, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    cfg = project.setup_cfg(project.parse_args(arguments("Prompts", tmp_path)))
    dataset, transform = build_dataset(cfg), build_transform(cfg, is_train=False)
    for part in (dataset.train_x, dataset.val, dataset.test):
        wrapper = DatasetWrapper(cfg, part or [], transform=transform, is_train=False)
        loader: Any = torch.utils.data.DataLoader(wrapper, batch_size=5, sampler=None, shuffle=False)
        batches = list(loader)
        assert torch.cat([batch["img"] for batch in batches]).shape == (len(part or []), 3, 64, 64)
        assert torch.cat([batch["label"] for batch in batches]).tolist() == [item.label for item in part or []]


def test_pretrained_prompts(build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {"module.ctx": torch.ones(4, 64)}}, tmp_path / "init.pth.tar")
    trainer = build("Prompts", MODEL__INIT_WEIGHTS=str(tmp_path / "init.pth.tar"))
    assert torch.equal(trainer.model.prompt_learner.ctx, torch.ones(4, 64))
    assert "Successfully loaded pretrained weights from" in capsys.readouterr().out
