"""Runs as a whole: strangers' trainers, stale results, folders, messages."""

import contextlib
import gc
import io
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from yacs.config import CfgNode

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from datasets.image_folder import ImageFolder
from experiments.results.predictions import read_predictions
from experiments.runs.config import RunPlan, extended_defaults
from experiments.runs.session import epoch_to_load, execute
from experiments.runs.tree import set_key

Train = Callable[..., Any]


def extend_cfg(cfg: CfgNode) -> None:
    """CoOp's name for the function that attaches a trainer's keys; found because the trainer is registered."""
    cfg.TRAINER.STRANGER = CfgNode({"WIDTH": 8, "INIT": "a photo of a"})


class Stranger(TrainerX):
    """Written as CoOp's trainers are: one registered model, per-epoch schedule, nothing of this project."""

    def check_cfg(self, cfg: Any) -> None:
        if cfg.TRAINER.STRANGER.WIDTH < 1:
            raise AssertionError  # bare, as strangers' code has it

    def build_model(self) -> None:
        width = self.cfg.TRAINER.STRANGER.WIDTH
        self.model = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, width), nn.ReLU(), nn.Linear(width, self.num_classes)
        )
        self.model.to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("prompt_learner", self.model, self.optim, self.sched)

    def forward_backward(self, batch: Any) -> dict[str, float]:
        images, labels = self.parse_batch_train(batch)
        loss = nn.functional.cross_entropy(self.model(images), labels)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    def parse_batch_train(self, batch: Any) -> Any:
        return batch["img"].to(self.device), batch["label"].to(self.device)


@pytest.fixture
def stranger() -> Iterator[type[Stranger]]:
    TRAINER_REGISTRY.register(Stranger, force=True)
    yield Stranger
    TRAINER_REGISTRY._objects.pop("Stranger")


STRANGE = [
    "INPUT.SIZE",
    "(32, 32)",
    "DATALOADER.NUM_WORKERS",
    "0",
    "OPTIM.MAX_EPOCH",
    "3",
    "TEST.FINAL_MODEL",
    "best_val",
]


BATCHES = ["DATALOADER.TRAIN_X.BATCH_SIZE", "4", "DATALOADER.NUM_WORKERS", "0"]


def test_a_strangers_trainer_through_execute(stranger: Any, image_root: Path, tmp_path: Path) -> None:
    cfg = extended_defaults()
    settings = ["TRAINER.NAME", "Stranger", "DATASET.NAME", "ImageFolder", "DATASET.ROOT", str(image_root), *STRANGE]
    settings += ["OUTPUT_DIR", str(tmp_path / "run"), "SEED", "3", "DATALOADER.TRAIN_X.BATCH_SIZE", "5"]
    for key, value in zip(settings[::2], settings[1::2], strict=True):
        set_key(cfg, key, value, source="test")
    cfg.freeze()
    result = execute(RunPlan(cfg, "mine", "stranger", False, "", None, False))
    assert json.loads(json.dumps(result)) == json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["trainer"], result["dataset"], result["total"], result["zero_shot_accuracy"]) == (
        "Stranger",
        "mine",
        9,
        None,
    )
    assert result["protocol"] == {
        "final_model": "best_val",
        "selected_on": "validation",
        "views": "online",
        "oracle": False,
        "validation": "min(shots, 4)",
        "validation_images": 6,
    }
    assert result["accuracy"] == pytest.approx(100 * result["correct"] / 9) and result["macro_f1"] is not None
    assert set(result["per_class_accuracy"]) == {"bear", "red_fox", "sea lion"}
    assert (tmp_path / "run" / "prompt_learner" / "model-best.pth.tar").is_file()
    predictions = read_predictions(tmp_path / "run")
    assert 100 * predictions.correct.mean() == pytest.approx(result["accuracy"])
    assert (len(predictions.images), predictions.zero_shot_top5, predictions.extras) == (9, None, {})
    assert sys.stdout is not None and "Finish training" in (tmp_path / "run" / "log.txt").read_text()


def test_a_strangers_trainer_from_the_command_line(stranger: Any, train_main: Train, figures_of: Any) -> None:
    runs = [train_main("Stranger", *STRANGE, "TRAINER.STRANGER.WIDTH", "4", "SEED", "2", small=False) for _ in range(2)]
    assert runs[0].status == 0, runs[0].err
    assert runs[0].result["config"] == "default" and runs[0].result["cfg"]["TRAINER"]["STRANGER"]["WIDTH"] == 4
    assert figures_of({"branches": {}, **runs[0].result}) == figures_of({"branches": {}, **runs[1].result})
    again = train_main(
        "Stranger",
        "--eval-only",
        "--model-dir",
        str(runs[0].folder),
        *STRANGE,
        "TRAINER.STRANGER.WIDTH",
        "4",
        small=False,
    )
    assert again.result["accuracy"] == runs[0].result["accuracy"]


@pytest.mark.filterwarnings("ignore:There is no validation set")
def test_a_strangers_best_epoch_on_test_images_is_recorded_as_such(
    stranger: Any, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, {"a": 4, "b": 4})
    run = train_main("Stranger", *STRANGE, *BATCHES, "DATASET.NUM_SHOTS", "4", small=False, root=tmp_path / "data")
    marked = {"final_model": "best_val", "selected_on": "test", "oracle": True}
    assert run.result["protocol"].items() >= {**marked, "validation": "none", "validation_images": 0}.items()
    model = ["--eval-only", "--model-dir", str(run.folder)]
    root = make_images(tmp_path / "other", {"a": 6, "b": 6})
    again = train_main("Stranger", *model, *BATCHES, "DATASET.NUM_SHOTS", "2", small=False, root=root)
    assert again.result["protocol"].items() >= marked.items()


def test_a_strangers_oracle(stranger: Any, train_main: Train) -> None:
    run = train_main("Stranger", *STRANGE, "TEST.FINAL_MODEL", "best_test", small=False)
    marked = {"final_model": "best_test", "selected_on": "test", "oracle": True}
    assert run.result["protocol"].items() >= marked.items()
    assert run.out.count("Evaluate on the *test* set") == 3 + 1


def test_a_strangers_best_validation_epoch_is_no_oracle_elsewhere(
    stranger: Any, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    model = ["--eval-only", "--model-dir", str(train_main("Stranger", *STRANGE, small=False).folder)]
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, dict.fromkeys(("bear", "red_fox", "sea lion"), 4))
    run = train_main("Stranger", *model, *BATCHES, "DATASET.NUM_SHOTS", "4", small=False, root=tmp_path / "data")
    assert (
        run.result["protocol"].items() >= {"selected_on": "validation", "oracle": False, "validation": "none"}.items()
    )


def test_a_strangers_settings_are_checked_by_its_own_trainer(stranger: Any, train_main: Train) -> None:
    run = train_main("Stranger", *STRANGE, "TRAINER.STRANGER.WIDTH", "0", small=False)
    assert run.status == 1 and run.error == "error: AssertionError"
    assert "'TRAINER.STRANGER.WIDTH'" in train_main("Stranger", "TRAINER.STRANGER.WIDTHS", "0", small=False).error


# -------------------------------------------------------------------------------------------------- test images alone


class TestImages(ImageFolder):
    """As the variants of ImageNet are: nothing to train on."""

    __test__ = False
    evaluation_only = True


@pytest.fixture
def test_images() -> Iterator[None]:
    DATASET_REGISTRY.register(TestImages, force=True)
    yield
    DATASET_REGISTRY._objects.pop("TestImages")


@pytest.mark.parametrize("name", ["AMU", "RAFT", "Stranger"])
def test_nothing_trains_on_test_images(
    name: str, stranger: Any, test_images: None, train_main: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.runs.session.build_trainer", lambda cfg: pytest.fail("too late"))
    run = train_main(name, *STRANGE[:4], "DATASET.NAME", "TestImages")
    assert run.status == 1 and run.error == (
        "error: TestImages is for evaluation: its images are test images; "
        "train on ImageNet and evaluate with --eval-only --model-dir RUN"
    )
    assert not run.folder.exists()


def test_test_images_can_be_evaluated_on(test_images: None, finished: Train, train_main: Train) -> None:
    plain = train_main("ZeroshotCLIP", "DATASET.NAME", "TestImages")
    assert plain.result["accuracy"] == finished("ZeroshotCLIP").result["accuracy"]
    for name in ("AMU", "RAFT"):
        model = ["--eval-only", "--model-dir", str(finished(name).folder)]
        run = train_main(name, *model, "DATASET.NAME", "TestImages")
        assert run.result["accuracy"] == finished(name).result["accuracy"]
    assert train_main("AMU", "--no-train", "DATASET.NAME", "TestImages").status == 0


# ------------------------------------------------------------------------------------------------- folders and results


def test_a_stale_result_is_set_aside_when_training_fails(
    finished: Train, train_main: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(trainer: Any) -> None:
        raise ValueError("broken")

    folder = tmp_path / "run"
    shutil.copytree(finished("AMU").folder, folder)
    content = (folder / "result.json").read_text()
    monkeypatch.setattr("experiments.runs.session.build_trainer", broken)
    assert train_main("AMU", folder=folder).status == 1
    assert (folder / "result.json").read_text() == content  # nothing has begun, nothing is lost
    monkeypatch.undo()
    monkeypatch.setattr("trainers.amu.AMU.train", broken)
    assert train_main("AMU", folder=folder).status == 1
    assert not (folder / "result.json").exists()
    assert (folder / "result.previous.json").read_text() == content


def test_a_first_try_that_failed_does_not_block_its_folder(train_main: Train, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert train_main("AMU", "OPTIM.LR", "-1.0", folder=folder).status == 1
    assert train_main("AMU", folder=folder).status == 0


def test_a_model_of_other_images_is_not_taken_for_this_runs(
    train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for root, classes in (("a", ("cat", "dog")), ("b", ("dogs", "zebra"))):
        make_images(tmp_path / root, dict.fromkeys(classes, 8))
    assert train_main("AMU", folder=folder, root=tmp_path / "a").status == 0
    run = train_main("AMU", folder=folder, root=tmp_path / "b")
    assert run.status == 1 and "holds a run with other settings (other training images)" in run.error


def test_an_evaluation_takes_over_the_models_settings_and_leaves_its_folder(
    finished: Train, train_main: Train, tmp_path: Path
) -> None:
    model = str(finished("AMU").folder)
    run = train_main("AMU", "--eval-only", "--model-dir", model, small=False, folder=tmp_path / "eval")
    assert (run.result["num_shots"], run.result["seed"]) == (2, finished("AMU").result["seed"])
    assert run.result["accuracy"] == finished("AMU").result["accuracy"]
    run = train_main("AMU", "--eval-only", "--model-dir", model, small=False, folder=finished("AMU").folder)
    assert run.status == 1 and "holds a trained model" in run.error
    assert "needs --model-dir" in train_main("AMU", "--eval-only", folder=tmp_path / "none").error
    assert "holds a model of trainer AMU" in train_main("RAFT", "--eval-only", "--model-dir", model).error


def test_resuming_needs_a_checkpoint_of_this_method_and_settings(
    finished: Train, train_main: Train, tmp_path: Path
) -> None:
    amu = str(finished("AMU").folder)
    assert "has no checkpoint of attnpool" in train_main("RAFT", "--resume", amu, folder=tmp_path / "r").error
    run = train_main("AMU", "--resume", amu, "--seed", "9", folder=tmp_path / "a")
    assert "holds a run with other settings (SEED 1 there, 9 here" in run.error


def test_a_model_that_is_not_finite_is_no_result(finished: Train, train_main: Train, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(finished("AMU").folder, folder)
    path = folder / "adapter" / "model.pth.tar-4"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["fc.weight"].fill_(float("nan"))
    torch.save(checkpoint, path)
    run = train_main("AMU", "--eval-only", "--model-dir", str(folder), folder=tmp_path / "eval")
    assert run.status == 1 and "aux logits of the test images are not finite" in run.error


def test_a_run_that_is_finished_is_repeated_from_its_checkpoint(
    finished: Train, train_main: Train, figures_of: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished("RAFT").folder, folder)
    run = train_main("RAFT", folder=folder)
    assert "Previous epoch: 4" in run.out and "epoch [" not in run.out
    assert figures_of(run.result) == figures_of(finished("RAFT").result)
    assert len(list(folder.glob("log.txt*"))) == 2  # the first log is kept


def test_no_train_builds_and_leaves_no_result(train_main: Train) -> None:
    run = train_main("AMU", "--no-train")
    assert run.status == 0 and not (run.folder / "result.json").exists() and "epoch [" not in run.out
    assert not list(run.folder.rglob("*.pth.tar*"))


def test_no_train_leaves_a_finished_run_finished(finished: Train, train_main: Train, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished("AMU").folder, folder)
    assert train_main("AMU", "--no-train", folder=folder).status == 0
    assert (folder / "result.json").is_file()


def test_figures_belong_to_the_recorded_settings(finished: Train, train_main: Train, tmp_path: Path) -> None:
    """A changed setting is refused, and nothing of the earlier run is lost."""
    folder = tmp_path / "run"
    shutil.copytree(finished("AMU").folder, folder)
    run = train_main("AMU", "OPTIM.LR", "0.5", folder=folder)
    assert run.status == 1 and "holds a run with other settings (OPTIM.LR 0.003 there, 0.5 here)" in run.error
    assert (folder / "result.json").read_text() == (finished("AMU").folder / "result.json").read_text()


def test_a_resumed_folder_must_exist(train_main: Train, tmp_path: Path) -> None:
    run = train_main("AMU", "--resume", str(tmp_path / "none"))
    assert run.status == 1 and f"no run folder to resume from at {tmp_path / 'none'}" in run.error


@pytest.mark.parametrize("below", [False, True])
def test_a_file_in_the_place_of_the_output_folder(below: bool, train_main: Train, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    folder = tmp_path / "taken" / "run" if below else tmp_path / "taken"
    run = train_main("AMU", folder=folder)
    assert run.status == 1 and f"output folder {folder} cannot be written: " in run.error
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission(train_main: Train, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written: Permission denied" in train_main("AMU", folder=tmp_path / "run").error


def test_the_console_comes_back_after_a_failure(train_main: Train, capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    assert train_main("AMU", "TRAINER.AMU.PROMPTS", "nix").status == 1
    assert sys.stdout is before
    run = train_main("ZeroshotCLIP")
    assert sys.stdout is before and "** Config **" not in run.out
    assert "** System info **" in (run.folder / "log.txt").read_text()


def test_without_a_seed_nothing_is_seeded(train_main: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    import experiments.runs.session

    seeds: list[int] = []
    monkeypatch.setattr(experiments.runs.session, "set_random_seed", seeds.append)
    for seed in ("-1", "0"):
        assert train_main("ZeroshotCLIP", "--seed", seed).status == 0
    assert seeds == [0]


# ---------------------------------------------------------------------------------------------------- wrong checkpoints


def test_checkpoints_of_other_classes_and_of_another_method(
    finished: Train, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    folder = str(finished("AMU").folder)
    two = make_images(tmp_path / "data", {"a": 4, "b": 4})
    run = train_main("AMU", "--resume", folder, root=two)
    assert run.status == 1 and "other training images" in run.error
    assert not (run.folder / "result.json").exists()
    run = train_main("RAFT", "--eval-only", "--model-dir", folder)
    assert run.status == 1 and "holds a model of trainer AMU, not of RAFT" in run.error


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_damaged_and_dangerous_checkpoints(
    content: bytes | None, finished: Train, train_main: Train, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished("AMU").folder, folder)

    class RunsCode:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "trap",)

    for path in (folder / "adapter").glob("model.pth.tar-*"):
        torch.save({"state_dict": RunsCode(), "epoch": 4}, path) if content is None else path.write_bytes(content)
    for argv in (["--eval-only", "--model-dir", str(folder)], ["--resume", str(folder)]):
        run = train_main("AMU", *argv)
        assert run.status == 1 and "adapter/model.pth.tar-4" in run.error
    assert not (tmp_path / "trap").exists()


def test_which_epoch_is_loaded(tmp_path: Path) -> None:
    def chosen(model_dir: str = str(tmp_path), load_epoch: int | None = None) -> int | None:
        return epoch_to_load(RunPlan(CfgNode(), "d", "c", True, model_dir, load_epoch, False))

    assert chosen() is None and chosen("") is None
    (tmp_path / "adapter").mkdir()
    for name in ("model.pth.tar-9", "model.pth.tar-10", "checkpoint", "model.pth.tar-11.abc.tmp"):
        (tmp_path / "adapter" / name).write_text("")
    assert chosen() == 10 and chosen(load_epoch=9) == 9 and chosen(load_epoch=0) == 0
    (tmp_path / "adapter" / "model-best.pth.tar").write_text("")
    assert chosen() is None and chosen(load_epoch=9) == 9


def test_an_evaluation_of_a_folder_that_is_not_there(train_main: Train, tmp_path: Path) -> None:
    run = train_main("AMU", "--eval-only", "--model-dir", str(tmp_path / "absent"))
    assert run.status == 1 and run.error == f"error: no run folder {tmp_path / 'absent'} to load a model from"


# ---------------------------------------------------------------------------------------------------------- bad images


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("views", ["2", "online"])
def test_an_unreadable_image_is_named(
    workers: str, views: str, train_main: Train, image_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # After an error torch waits so long for its workers, five seconds by default, when the loader is collected.
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.2)
    root = tmp_path / "data"
    shutil.copytree(image_root, root)
    for path in (root / "bear").iterdir():
        path.write_bytes(path.read_bytes()[:200] if workers == "0" else b"no image")
    run = train_main("RAFT", "DATALOADER.NUM_WORKERS", workers, "TRAIN.VIEWS", views, root=root)
    gc.collect()
    assert run.status == 1 and f'Cannot read the image "{root}/bear/' in run.error
    assert "\n" not in run.error and not (run.folder / "result.json").exists()


def test_short_classes_are_taken_whole_with_one_warning(train_main: Train, make_images: Any, tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", {"few": 4, "many": 12})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        run = train_main("AMU", "DATASET.NUM_SHOTS", "5", root=root)
    messages = [str(warning.message) for warning in caught if "training images" in str(warning.message)]
    assert messages == ["fewer than 5 training images, all of them taken: few"]
    assert run.status == 0 and "# train_x  7" in run.out  # two of four, five of six


def test_the_recorded_commit_is_the_one_that_the_run_started_from(
    train_main: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    import experiments.runs.record

    commits = iter(["first", "second"])
    monkeypatch.setattr(experiments.runs.record, "git_commit", lambda: next(commits))
    assert train_main("ZeroshotCLIP").result["git_commit"] == "first"


def test_runs_in_one_process_do_not_share_a_log(train_main: Train) -> None:
    first, second = train_main("ZeroshotCLIP", "SEED", "5"), train_main("ZeroshotCLIP", "SEED", "6")
    assert "SEED: 5" in (first.folder / "log.txt").read_text() and "SEED: 6" in (second.folder / "log.txt").read_text()
    assert "SEED: 6" not in (first.folder / "log.txt").read_text()


def test_output_to_a_console_alone_without_a_log(tmp_path: Path) -> None:
    """The settings are printed where the log is not a file of its own."""
    from experiments.runs.session import _log_only

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        _log_only("text")
    assert out.getvalue() == "text\n"
