"""What a run may know of the test labels, and what its record says about it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.methods import get_method
from dassl.data.datasets import DATASET_REGISTRY
from datasets.image_folder import ImageFolder
from datasets.listed_item import listed_item
from tests.trainers.test_registry import NAMES, checkpoints, tensors_equal
from trainers.base.trainer import FewShotTrainer

Train = Callable[..., Any]
DEFAULT_PROTOCOL = [
    ("AMU", "TEST.FINAL_MODEL", "last_step"),
    ("AMU", "TEST.FINAL_MODEL", "best_val"),
    ("AMU", "TRAINER.AMU.TUNE", "post_hoc"),
    ("AMU", "TRAINER.AMU.TUNE", "all"),
    ("AMU", "TRAINER.AMU.TUNE", "all", "TEST.FINAL_MODEL", "best_val"),
    ("RAFT", "TEST.FINAL_MODEL", "last_step"),
    ("RAFT", "TEST.FINAL_MODEL", "best_val"),
    ("RAFT", "TRAINER.RAFT.ALPHA_RULE", "first_best"),
    ("RAFT", "DATASET.VALIDATION", "full"),
    ("ZeroshotCLIP", "TEST.FINAL_MODEL", "last_step"),
    ("ZeroshotCLIP", "TEST.FINAL_MODEL", "best_val"),
    *((name, "TEST.FINAL_MODEL", "best_val") for name in NAMES if name not in ("AMU", "RAFT", "ZeroshotCLIP")),
]


def named(case: tuple[str, ...]) -> str:
    return "-".join(case)


# ----------------------------------------------------------------------------------- no test label before the last step


class GuardedItem:
    """A test image that notes when its label or class name is read."""

    early_reads: list[str]
    open = False

    def __init__(self, item: Any) -> None:
        self.impath, self.domain = item.impath, item.domain
        self._hidden = (item.label, item.classname)

    def _read(self, what: str) -> Any:
        if not type(self).open:
            type(self).early_reads.append(f"{what} of {Path(self.impath).name}")
        return self._hidden[what == "classname"]

    @property
    def label(self) -> Any:
        return self._read("label")

    @property
    def classname(self) -> Any:
        return self._read("classname")


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[GuardedItem]]:
    """A data set whose test labels are watched from the moment it is built until the final evaluation begins.

    That begins where ``after_train`` has chosen what is chosen, and asks for the logits of the split to report.
    """
    guard: Any = type("Guard", (GuardedItem,), {"early_reads": []})

    class GuardedFolder(ImageFolder):
        def __init__(self, cfg: Any) -> None:
            super().__init__(cfg)
            self._test = [guard(item) for item in self.test]

    DATASET_REGISTRY.register(GuardedFolder, force=True)
    choose, after_train = FewShotTrainer.choose, FewShotTrainer.after_train

    def ending(self: Any) -> None:
        self.is_ending = True
        after_train(self)

    def choosing(self: Any) -> None:
        choose(self)
        guard.open = getattr(self, "is_ending", False)

    monkeypatch.setattr(FewShotTrainer, "after_train", ending)
    monkeypatch.setattr(FewShotTrainer, "choose", choosing)
    yield guard
    DATASET_REGISTRY._objects.pop("GuardedFolder")


@pytest.fixture
def relabelled() -> Iterator[None]:
    """A data set with every test label turned into the next class's."""

    class RelabelledFolder(ImageFolder):
        def __init__(self, cfg: Any) -> None:
            super().__init__(cfg)
            names = self.classnames
            self._test = [
                listed_item(item.impath, (item.label + 1) % len(names), names[(item.label + 1) % len(names)])
                for item in self.test
            ]

    DATASET_REGISTRY.register(RelabelledFolder, force=True)
    yield
    DATASET_REGISTRY._objects.pop("RelabelledFolder")


@pytest.mark.parametrize("case", DEFAULT_PROTOCOL, ids=named)
def test_test_labels_are_not_read_before_the_final_evaluation_and_decide_nothing(
    case: tuple[str, ...], guarded: Any, relabelled: None, train_main: Train
) -> None:
    trainer, *keys = case
    run = train_main(trainer, "DATASET.NAME", "GuardedFolder", *keys)
    assert run.status == 0, run.err
    assert guarded.early_reads == [] and guarded.open
    assert run.result["total"] == 9
    settings, protocol = dict(zip(keys[::2], keys[1::2], strict=True)), run.result["protocol"]
    nothing = trainer == "ZeroshotCLIP" or (trainer == "AMU" and settings == {"TEST.FINAL_MODEL": "last_step"})
    expected = {
        "final_model": settings.get("TEST.FINAL_MODEL", "last_step"),
        "selected_on": "none" if nothing else "validation",
        "views": "2",
        "oracle": False,
        "validation": "full" if "DATASET.VALIDATION" in settings else "min(shots, 4)",
        "validation_images": 6,
    }
    assert {key: protocol[key] for key in expected} == expected
    if trainer != "ZeroshotCLIP":
        same_model(run, train_main(trainer, "DATASET.NAME", "RelabelledFolder", *keys), best="best_val" in case)


def same_model(run: Any, relabelled: Any, *, best: bool) -> None:
    """Hold a run against one with other test labels."""
    one, other = run.result, relabelled.result
    assert one["correct"] != other["correct"]  # the labels did change
    for key in ("protocol", "tuning", *get_method(one["trainer"]).chosen, "loss_lambda"):
        assert one.get(key) == other.get(key), key
    models, epochs = [checkpoints(each.folder) for each in (run, relabelled)], []
    for name, checkpoint in models[0].items():
        assert tensors_equal(checkpoint["state_dict"], models[1][name]["state_dict"])
    for each in (run, relabelled):
        epochs.append(
            [torch.load(path, weights_only=True)["epoch"] for path in each.folder.glob("*/model-best.pth.tar")]
        )
    assert epochs[0] == epochs[1] and len(epochs[0]) == best


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_the_guard_notices_an_oracle(trainer: str, guarded: Any, train_main: Train) -> None:
    run = train_main(trainer, "DATASET.NAME", "GuardedFolder", "TEST.FINAL_MODEL", "best_test")
    assert run.status == 0, run.err
    assert guarded.early_reads and run.result["protocol"]["oracle"] is True


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_the_guard_notices_a_look_in_between(
    trainer: str, guarded: Any, train_main: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FewShotTrainer, "before_epoch", lambda self: self.test(split="test"))
    assert train_main(trainer, "DATASET.NAME", "GuardedFolder").status == 0
    assert guarded.early_reads


# ----------------------------------------------------------------------------------------------------- what is recorded


def test_a_damaged_model_is_not_evaluated(build: Train) -> None:
    trainer = build("AMU")
    trainer.start_method()
    with torch.no_grad():
        trainer.method.adapter.fc.weight.fill_(torch.nan)
    with pytest.raises(
        FloatingPointError, match=r"^aux logits of the val images are not finite; the model is damaged$"
    ):
        trainer.collect_branches("val", trainer.val_loader)


def test_zero_shot_has_nothing_to_choose(train_main: Train) -> None:
    protocol = train_main("ZeroshotCLIP", "TEST.FINAL_MODEL", "best_test").result["protocol"]
    assert (protocol["selected_on"], protocol["oracle"]) == ("none", False)


def test_best_test_chooses_everything_on_test_labels_and_says_so(train_main: Train) -> None:
    run = train_main("RAFT", "TEST.FINAL_MODEL", "best_test", "TRAINER.RAFT.ALPHA_RULE", "first_best")
    protocol = run.result["protocol"]
    assert (protocol["final_model"], protocol["selected_on"], protocol["oracle"]) == ("best_test", "test", True)
    assert run.result["tuning"]["on"] == "test" and run.result["tuning"]["images"] == 9
    assert run.result["accuracy"] == max(run.result["tuning"]["accuracy"])
    assert "whatever is chosen is chosen on TEST labels" in run.out
    assert "Evaluate on the *val* set" not in run.out and run.out.count("Evaluate on the *test* set") == 5
    assert "Deploy the model with the best test performance" in run.out
    best = torch.load(run.folder / "attnpool" / "model-best.pth.tar", weights_only=True)
    assert best["val_result"] == run.result["accuracy"]


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_an_oracles_model_stays_one_wherever_it_is_evaluated(
    trainer: str, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    run = train_main(trainer, "TEST.FINAL_MODEL", "best_test", f"TRAINER.{trainer}.PREC", "fp32")
    model = ["--eval-only", "--model-dir", str(run.folder)]
    again = train_main(trainer, *model).result
    assert again["accuracy"] == run.result["accuracy"] and again["protocol"] == run.result["protocol"]
    root = make_images(tmp_path / "data", {"bear": 6, "cat": 6})
    for keys in ([], ["TEST.FINAL_MODEL", "last_step"]):
        protocol = train_main(trainer, *model, *keys, root=root).result["protocol"]
        assert (protocol["final_model"], protocol["selected_on"], protocol["oracle"]) == ("best_test", "test", True)


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_a_model_of_the_best_validation_epoch_can_be_evaluated_where_there_is_no_validation(
    trainer: str, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    run = train_main(trainer, "TEST.FINAL_MODEL", "best_val")
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, {"bear": 2, "red_fox": 2, "sea lion": 2})
    again = train_main(trainer, "--eval-only", "--model-dir", str(run.folder), root=tmp_path / "data")
    assert again.status == 0, again.err
    protocol = again.result["protocol"]
    assert (protocol["final_model"], protocol["selected_on"]) == ("best_val", "validation")
    assert (protocol["validation"], protocol["validation_images"]) == ("none", 0)


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_held_out_images_serve_where_there_is_no_validation_part(
    trainer: str, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    make_images(tmp_path / "data" / "train", {"a": 7, "b": 7})
    make_images(tmp_path / "data" / "test", {"a": 3, "b": 3})
    run = train_main(trainer, "TEST.FINAL_MODEL", "best_val", root=tmp_path / "data")
    protocol = run.result["protocol"]
    assert (protocol["validation"], protocol["validation_images"]) == ("held_out", 4)
    assert protocol["selected_on"] == "validation" and run.result["total"] == 6


def test_a_resumed_oracle_keeps_its_best_epoch(train_main: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.amu import AMU

    original = AMU.forward_backward

    def interrupted(self: Any, batch: Any) -> Any:
        if self.epoch == 2:
            raise KeyboardInterrupt
        return original(self, batch)

    whole = train_main("AMU", "TEST.FINAL_MODEL", "best_test")
    with monkeypatch.context() as patch:
        patch.setattr(AMU, "forward_backward", interrupted)
        stopped = train_main("AMU", "TEST.FINAL_MODEL", "best_test")
    assert stopped.status == 130
    resumed = train_main("AMU", "TEST.FINAL_MODEL", "best_test", folder=stopped.folder)
    assert resumed.result["accuracy"] == whole.result["accuracy"]
    found = [torch.load(run.folder / "adapter" / "model-best.pth.tar", weights_only=True) for run in (whole, resumed)]
    assert found[0]["epoch"] == found[1]["epoch"] and found[0]["val_result"] == found[1]["val_result"]
    json.dumps(resumed.result)
