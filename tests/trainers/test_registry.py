"""What every trainer of the project must do; a new one is tested by being registered."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import trainers  # noqa: F401  registers them
from amu_raft.methods import method_names
from dassl.engine import TRAINER_REGISTRY
from trainers.base.trainer import FewShotTrainer

Train = Callable[..., Any]
NAMES = sorted(
    name
    for name in TRAINER_REGISTRY.registered_names()
    if TRAINER_REGISTRY.get(name).__module__.startswith("trainers.")
)
KINDS = {name: TRAINER_REGISTRY.get(name).kind for name in NAMES}
GRADIENT, CLOSED_FORM = ([name for name in NAMES if KINDS[name].learns == how] for how in ("gradient", "closed_form"))
TRAINED = [*GRADIENT, *CLOSED_FORM]
ONE_OF_EACH = ["AMU", *CLOSED_FORM[:1], "ZeroshotCLIP"]  # for what the trainers share line by line
READERS = list({KINDS[name].reads: name for name in NAMES}.values())  # one for every set of features
LAST_EPOCH = {name: 4 if KINDS[name].learns == "gradient" else 1 for name in NAMES}
BRANCHES = {"AMU": {"zero_shot", "aux", "fused"}, "RAFT": {"zero_shot", "region"}, "ZeroshotCLIP": {"zero_shot"}}


def checkpoints(folder: Path) -> dict[str, dict[str, Any]]:
    """State dicts of the last checkpoint, by model."""
    found = {}
    for latest in folder.glob("*/checkpoint"):
        path = latest.parent / latest.read_text().strip()
        found[latest.parent.name] = torch.load(path, weights_only=True)
    return found


def tensors_equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_every_method_has_a_trainer_of_its_name() -> None:
    assert method_names() == NAMES and {"AMU", "RAFT", "ZeroshotCLIP"} <= set(NAMES)
    for name in NAMES:
        trainer = TRAINER_REGISTRY.get(name)
        assert issubclass(trainer, FewShotTrainer) and trainer.kind.__name__ == trainer.__name__ == name
        assert trainer.trains == (name in TRAINED)


# -------------------------------------------------------------------------------------------------------- the record


@pytest.mark.parametrize("name", NAMES)
def test_the_record_of_a_run(name: str, finished: Train) -> None:
    result = finished(name).result
    expected = {
        "schema": 1,
        "status": "finished",
        "mode": "train",
        "trainer": name,
        "dataset": "image_folder",
        "dataset_name": "ImageFolder",
        "config": "tiny",
        "backbone": "tiny",
        "num_shots": 2,
        "seed": 1,
        "subsample_classes": "all",
        "split": "test",
        "total": 9,
        "device": "cpu",
    }
    assert {key: result[key] for key in expected} == expected
    assert result["accuracy"] == pytest.approx(100 * result["correct"] / result["total"])
    assert set(result["per_class_accuracy"]) == {"bear", "red_fox", "sea lion"}
    assert sum(result["per_class_accuracy"].values()) / 3 == pytest.approx(result["accuracy"])
    assert 0 <= result["macro_f1"] <= 100
    assert set(result["protocol"]) >= {"final_model", "selected_on", "views", "oracle"}
    assert result["protocol"]["final_model"] == "last_step" and result["protocol"]["views"] == "2"
    assert result["protocol"]["oracle"] is False
    assert result["cfg"]["TRAINER"]["NAME"] == name and set(result["cfg"]["TRAINER"]) == {"NAME", name.upper()}
    assert {"python", "torch", "torchvision", "numpy", "pillow", "dassl", "yacs"} <= set(result["versions"])
    assert 0 < result["seconds"]["setup"] <= result["seconds"]["total"] and result["peak_memory_mb"] > 10


@pytest.mark.parametrize("name", NAMES)
def test_the_branches(name: str, finished: Train) -> None:
    result = finished(name).result
    assert set(result["branches"]) == BRANCHES.get(name, {"zero_shot", KINDS[name].decides})
    if name != "RAFT":  # which mixes its branches
        assert result["accuracy"] == result["branches"][KINDS[name].decides]
    assert result["zero_shot_accuracy"] == result["branches"]["zero_shot"]
    assert all(0 <= value <= 100 for value in result["branches"].values())
    # Every trainer must see the same frozen CLIP.
    assert result["zero_shot_accuracy"] == finished("ZeroshotCLIP").result["accuracy"]


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_and_the_log(name: str, finished: Train) -> None:
    run = finished(name)
    log = (run.folder / "log.txt").read_text()
    for line in ("** Config **", "Finish training", "=> result", "* accuracy: ", f"Loading trainer: {name}"):
        assert line in log
    assert f"* accuracy: {run.result['accuracy']:.1f}%" in log
    assert f"{name} on image_folder: accuracy {run.result['accuracy']:.2f}%" in run.out
    assert log.rstrip().endswith("result.json")
    assert not [path for path in run.folder.rglob("*") if "partial" in path.name or path.name.endswith(".tmp")]
    assert json.loads((run.folder / "result.json").read_text())["status"] == "finished"
    assert list((run.folder / "tensorboard").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_one_line_per_epoch(name: str, finished: Train) -> None:
    lines = [line for line in finished(name).out.splitlines() if line.startswith("epoch [")]
    epochs = (1, 2, 3, 4) if name in GRADIENT else ()
    assert [line.split("]")[0] for line in lines] == [f"epoch [{number}/4" for number in epochs]
    assert all(" loss " in line and " lr " in line and " acc " in line for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved(name: str, finished: Train) -> None:
    run, folder = finished(name), KINDS[name].saved_as
    files = {str(path.relative_to(run.folder)) for path in run.folder.glob("*/model*.pth.tar*")}
    epochs = range(1, LAST_EPOCH[name] + 1) if name in TRAINED else ()
    assert files == {f"{folder}/model.pth.tar-{epoch}" for epoch in epochs}
    assert (run.folder / "classes.json").is_file() == (name in TRAINED)
    assert (run.folder / "model-info.json").is_file() and (run.folder / "model.safetensors").is_file()


# ------------------------------------------------------------------------------------------------------- determinism


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_figures_to_the_last_bit(
    name: str, finished: Train, train_main: Train, figures_of: Any
) -> None:
    again = train_main(name)
    assert figures_of(again.result) == figures_of(finished(name).result)
    for model, checkpoint in checkpoints(again.folder).items():
        assert tensors_equal(checkpoint["state_dict"], checkpoints(finished(name).folder)[model]["state_dict"])


@pytest.mark.parametrize("name", TRAINED)
def test_another_seed_is_another_run(name: str, finished: Train, train_main: Train) -> None:
    other = train_main(name, "--seed", "0")
    assert other.result["seed"] == 0
    for model, checkpoint in checkpoints(other.folder).items():
        assert not tensors_equal(checkpoint["state_dict"], checkpoints(finished(name).folder)[model]["state_dict"])


@pytest.mark.parametrize("name", TRAINED)
def test_workers_do_not_change_the_figures_of_cached_views(
    name: str, finished: Train, train_main: Train, figures_of: Any
) -> None:
    result = train_main(name, "DATALOADER.NUM_WORKERS", "1").result
    result["cfg"]["DATALOADER"]["NUM_WORKERS"] = 0
    assert figures_of(result) == figures_of(finished(name).result)


# ----------------------------------------------------------------------------------------------- resume and evaluate


@pytest.mark.parametrize("name", GRADIENT)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_resumed_run_ends_as_the_uninterrupted_one(
    name: str,
    elsewhere: bool,
    finished: Train,
    train_main: Train,
    figures_of: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    trainer = TRAINER_REGISTRY.get(name)
    original = trainer.forward_backward

    def interrupted(self: Any, batch: Any) -> Any:
        if (self.epoch, self.batch_idx) == (2, 1):  # in the middle of the third epoch
            raise KeyboardInterrupt
        return original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "forward_backward", interrupted)
        stopped = train_main(name)
    assert stopped.status == 130 and "the same command resumes" in stopped.err
    assert not (stopped.folder / "result.json").exists()
    assert "Finish training" not in (stopped.folder / "log.txt").read_text()
    if elsewhere:
        resumed = train_main(name, "--resume", str(stopped.folder), folder=tmp_path / "new")
    else:
        resumed = train_main(name, folder=stopped.folder)
    assert "Previous epoch: 2" in resumed.out and "epoch [3/4]" in resumed.out and "epoch [2/4]" not in resumed.out
    assert figures_of(resumed.result) == figures_of(finished(name).result)
    for model, checkpoint in checkpoints(finished(name).folder).items():
        found = checkpoints(resumed.folder)[model]
        assert tensors_equal(found["state_dict"], checkpoint["state_dict"])
        assert found["scheduler"] == checkpoint["scheduler"] and found["epoch"] == 4


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_a_solution_is_computed_again_by_the_same_command(name: str, train_main: Train, figures_of: Any) -> None:
    first = train_main(name)
    model, solution = (first.folder / "model.safetensors").read_bytes(), checkpoints(first.folder)
    again = train_main(name, folder=first.folder)
    assert again.status == 0, again.err
    assert figures_of(again.result) == figures_of(first.result)
    assert (again.folder / "model.safetensors").read_bytes() == model
    [(saved_as, checkpoint)] = checkpoints(again.folder).items()
    assert tensors_equal(checkpoint["state_dict"], solution[saved_as]["state_dict"])


@pytest.mark.parametrize("name", NAMES)
def test_a_finished_run_is_evaluated_alike(name: str, finished: Train, train_main: Train, figures_of: Any) -> None:
    run = finished(name)
    again = train_main(name, "--eval-only", "--model-dir", str(run.folder))  # the last epoch
    assert again.status == 0, again.err
    expected, found = figures_of(run.result), figures_of(again.result)
    if KINDS[name].learns == "closed_form":  # what was chosen for it is not chosen again without its training images
        for result in (expected, found):
            [result.pop(key, None) for key in ("tuning", "cfg")]
    assert found == {**expected, "mode": "eval"}
    assert "epoch [" not in again.out
    if name in TRAINED:
        assert f"model.pth.tar-{LAST_EPOCH[name]}" in again.out


@pytest.mark.parametrize("name", TRAINED)
def test_an_epoch_can_be_asked_for(name: str, finished: Train, train_main: Train) -> None:
    run = finished(name)
    early = train_main(name, "--eval-only", "--model-dir", str(run.folder), "--load-epoch", "1")
    assert early.status == 0 and "epoch=1" in early.out
    absent = train_main(name, "--eval-only", "--model-dir", str(run.folder), "--load-epoch", "9")
    assert absent.status == 1 and "No model at" in absent.error and "model.pth.tar-9" in absent.error


@pytest.mark.parametrize("name", GRADIENT)
def test_best_val_deploys_the_epoch_that_did_best_on_validation(name: str, train_main: Train) -> None:
    run = train_main(name, "TEST.FINAL_MODEL", "best_val")
    assert run.result["protocol"]["final_model"] == "best_val"
    assert run.result["protocol"]["selected_on"] == "validation" and run.result["split"] == "test"
    assert run.out.count("Evaluate on the *val* set") == 4 and run.out.count("Evaluate on the *test* set") == 1
    [best] = [torch.load(path, weights_only=True) for path in run.folder.glob("*/model-best.pth.tar")]
    lines = run.out.splitlines()
    starts = [number for number, line in enumerate(lines) if line == "Evaluate on the *val* set"]
    accuracies = [
        float(next(line for line in lines[start:] if line.startswith("* accuracy")).split()[-1].rstrip("%"))
        for start in starts
    ]
    assert best["val_result"] == pytest.approx(max(accuracies), abs=0.06)
    assert best["epoch"] == accuracies.index(max(accuracies)) + 1
    again = train_main(name, "--eval-only", "--model-dir", str(run.folder), "TEST.FINAL_MODEL", "best_val")
    assert again.result["accuracy"] == run.result["accuracy"]


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_the_best_of_a_solution_is_the_solution(name: str, finished: Train, train_main: Train) -> None:
    run, plain = train_main(name, "TEST.FINAL_MODEL", "best_val"), finished(name)
    assert run.status == 0, run.err
    assert run.result["accuracy"] == plain.result["accuracy"]
    assert run.result["protocol"] == {**plain.result["protocol"], "final_model": "best_val"}
    [best] = [torch.load(path, weights_only=True) for path in run.folder.glob("*/model-best.pth.tar")]
    [solution] = checkpoints(plain.folder).values()
    assert tensors_equal(best["state_dict"], solution["state_dict"])
    again = train_main(name, "--eval-only", "--model-dir", str(run.folder), "TEST.FINAL_MODEL", "best_val")
    assert again.result["accuracy"] == run.result["accuracy"]


@pytest.mark.parametrize("name", TRAINED)
def test_the_best_epoch_is_never_chosen_on_test_images(
    name: str, make_images: Any, build: Train, train_main: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "TEST.FINAL_MODEL best_val needs validation images that are not the test images"
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, {"a": 2, "b": 2})  # two shots use them up: none is left to hold out
    run = train_main(name, "TEST.FINAL_MODEL", "best_val", root=tmp_path / "data")
    assert run.status == 1 and message in run.error
    from datasets.image_folder import ImageFolder

    monkeypatch.setattr(ImageFolder, "val", property(lambda self: list(reversed(self.test))))
    with pytest.raises(ValueError, match=message):
        build(name, "TEST.FINAL_MODEL", "best_val").before_train()


# ------------------------------------------------------------------------------------------------- what training moves


@pytest.mark.parametrize("name", NAMES)
def test_training_moves_nothing_but_what_it_trains(name: str, build: Train) -> None:
    trainer = build(name)
    frozen = trainer.backbone.model.state_dict()
    frozen = {**frozen, **(trainer.aux_encoder.state_dict() if trainer.aux_encoder is not None else {})}
    before = {key: value.clone() for key, value in frozen.items()}
    texts = trainer.text_weights.clone()
    starts: dict[str, dict[str, Any]] = {model: {} for model in trainer.get_model_names()}
    trainer.before_train()
    for model in starts:
        starts[model] = {key: value.clone() for key, value in trainer._models[model].state_dict().items()}
    trainer.epoch = 0
    for epoch in range(2):
        trainer.epoch = epoch
        trainer.before_epoch()
        if name in GRADIENT:
            trainer.run_epoch()
    trainer.test()
    trainer.close_writer()
    assert all(torch.equal(value, before[key]) for key, value in frozen.items())
    assert torch.equal(trainer.text_weights, texts)
    assert all(parameter.grad is None for parameter in trainer.backbone.model.parameters())
    for model, start in starts.items():
        moved = {
            key for key, value in trainer._models[model].state_dict().items() if not torch.equal(value, start[key])
        }
        learned = {key for key, _ in trainer.method.trained.named_parameters()} if name in GRADIENT else set()
        # The gradient of the k bias is zero, and zero weight decay of a zero bias would be zero as well.
        assert moved | {"k_proj.bias"} == learned | {"k_proj.bias"}


@pytest.mark.parametrize("name", TRAINED)
def test_batch_normalisation_stays_in_evaluation_mode(name: str, build: Train) -> None:
    trainer = build(name)
    trainer.before_train()
    trainer.set_model_mode("train")
    frozen = [trainer.backbone.model, *([trainer.aux_encoder] if trainer.aux_encoder is not None else [])]
    assert not any(module.training for model in frozen for module in model.modules())
    trainer.close_writer()


# ---------------------------------------------------------------------------------------------- settings of all of them


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prec", ["fp16", "amp"])
def test_low_precision_runs_on_the_cpu(name: str, prec: str, train_main: Train, build: Train) -> None:
    run = train_main(name, f"TRAINER.{name.upper()}.PREC", prec, "OPTIM.MAX_EPOCH", "2")
    assert run.status == 0, run.err
    assert math.isfinite(run.result["accuracy"])
    if name in GRADIENT:  # the others have no step that low precision would make faster
        [checkpoint] = checkpoints(run.folder).values()
        trained = {key for key, _ in build(name).method.trained.named_parameters()}
        expected = {torch.float16 if prec == "fp16" else torch.float32}
        assert {value.dtype for key, value in checkpoint["state_dict"].items() if key in trained} == expected


@pytest.mark.parametrize("name", TRAINED)
def test_online_views(name: str, train_main: Train, finished: Train) -> None:
    run = train_main(name, "TRAIN.VIEWS", "online", "OPTIM.MAX_EPOCH", "2")
    assert run.result["protocol"]["views"] == "online"
    if name in GRADIENT:
        [checkpoint] = checkpoints(run.folder).values()
        # Six images are batches of four and two: the short one is not dropped.
        assert checkpoint["scheduler"]["last_epoch"] == 2 * 2
    assert run.result["zero_shot_accuracy"] == finished(name).result["zero_shot_accuracy"]


@pytest.mark.parametrize("name", NAMES)
def test_base_and_new_classes(name: str, make_images: Any, train_main: Train, tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", dict.fromkeys(("ant", "bee", "cat", "dog"), 6))
    subset = "DATASET.SUBSAMPLE_CLASSES"
    base = train_main(name, subset, "base", "OPTIM.MAX_EPOCH", "2", root=root)
    new = train_main(name, "--eval-only", "--model-dir", str(base.folder), subset, "new", root=root)
    for run, subsample, classes in ((base, "base", {"ant", "bee"}), (new, "new", {"cat", "dog"})):
        assert run.status == 0, run.err
        assert run.result["subsample_classes"] == subsample and set(run.result["per_class_accuracy"]) == classes
    if KINDS[name].bound_to_classes():  # zero-shot CLIP decides what the model does not know
        assert f"{KINDS[name].saved_as} knows 0 of 2 classes: zero-shot CLIP decides" in new.out
        assert new.result["accuracy"] == new.result["zero_shot_accuracy"]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_prompts(name: str, build: Train, tmp_path: Path) -> None:
    key = f"TRAINER.{name.upper()}.PROMPTS"
    plain = build(name)
    assert plain.class_prompts() == [["a photo of a bear."], ["a photo of a red fox."], ["a photo of a sea lion."]]
    seven = build(name, key, "imagenet7")
    assert [len(prompts) for prompts in seven.class_prompts()] == [7, 7, 7]
    assert seven.class_prompts()[1][0] == "itap of a red fox."
    path = tmp_path / "gpt.json"
    path.write_text(json.dumps({"bear": ["A bear."], "red fox": ["One.", "Two."], "sea lion": ["Seal."]}))
    own = build(name, key, str(path))
    assert own.class_prompts() == [["A bear."], ["One.", "Two."], ["Seal."]]
    assert own.text_weights.shape == seven.text_weights.shape == (64, 3)
    assert not torch.allclose(own.text_weights, plain.text_weights)
    torch.testing.assert_close(own.text_weights.norm(dim=0), torch.ones(3))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_prompt_files_with_faults(name: str, train_main: Train, tmp_path: Path) -> None:
    key, path = f"TRAINER.{name.upper()}.PROMPTS", tmp_path / "gpt.json"
    path.write_text(json.dumps({"bear": ["A bear."], "red_fox": ["One."], "sea lion": ["x"]}))
    assert "has no class 'red fox'; nearest keys: 'red_fox'" in train_main(name, key, str(path)).error
    path.write_text(json.dumps({"bear": ["bear " * 99], "red fox": ["One."], "sea lion": ["x"]}))
    assert "is too long for context length 77" in train_main(name, key, str(path)).error
    assert "unknown PROMPTS 'imagenet'; choose templates, imagenet7" in train_main(name, key, "imagenet").error
    assert "no prompt file at" in train_main(name, key, str(tmp_path / "absent.json")).error


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("TRAINER.{}.PREC", "bf16", "unknown precision 'bf16'"),
        ("TRAIN.VIEWS", "0", "TRAIN.VIEWS must be"),
        ("TEST.FINAL_MODEL", "best", "unknown TEST.FINAL_MODEL 'best'; choose from last_step, best_val, best_test"),
        ("DATASET.VALIDATION", "all", "DATASET.VALIDATION is 'all'; accepted are coop, full"),
        ("INPUT.SIZE", "(96, 96)", "INPUT.SIZE (96, 96) does not fit backbone 'tiny', whose input is (64, 64)"),
        ("MODEL.BACKBONE.NAME", "tinny.pt", "unknown backbone 'tinny.pt'"),
    ],
)
def test_bad_settings(name: str, key: str, value: str, message: str, train_main: Train) -> None:
    run = train_main(name, key.format(name.upper()), value)
    assert run.status == 1 and message in run.error
    assert not (run.folder / "result.json").exists()


@pytest.mark.parametrize("name", READERS)
def test_images_reach_the_encoders_alike_whatever_the_loader_normalises_by(name: str, build: Train) -> None:
    found = []
    other = ["INPUT.PIXEL_MEAN", "[0.5, 0.5, 0.5]", "INPUT.PIXEL_STD", "[0.25, 0.5, 0.75]"]
    for overrides in ([], ["INPUT.TRANSFORMS", "()"], other):
        trainer = build(name, *overrides)
        found.append(trainer.encode(next(iter(trainer.test_loader))["img"]))
    for features in found[1:]:
        for key, values in features.items():
            torch.testing.assert_close(values, found[0][key], rtol=1e-3, atol=1e-3 * float(values.abs().max()))


@pytest.mark.parametrize("name", NAMES)
def test_inference_on_images_is_the_decision_of_the_evaluation(name: str, build: Train) -> None:
    trainer = build(name)
    trainer.before_train()
    batch = next(iter(trainer.test_loader))
    with torch.no_grad():
        branches, labels = trainer.collect_branches("test", trainer.test_loader)
        torch.testing.assert_close(
            trainer.model_inference(batch["img"]), trainer.decide(branches), rtol=1e-4, atol=1e-4
        )
    assert torch.equal(batch["label"], labels)
    trainer.close_writer()


@pytest.mark.parametrize("name", GRADIENT)
def test_a_loss_that_is_not_finite_ends_the_run(name: str, train_main: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = TRAINER_REGISTRY.get(name)
    original = trainer.descend

    def poisoned(self: Any, loss: Any) -> None:
        original(self, loss * math.nan if (self.epoch, self.batch_idx) == (1, 1) else loss)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "descend", poisoned)
        run = train_main(name)
    assert run.status == 1 and "loss is nan at epoch 2, batch 2" in run.error
    assert not (run.folder / "result.json").exists()
    assert "Finish training" not in (run.folder / "log.txt").read_text()
    # What was saved before the accident is still good.
    assert all(torch.isfinite(v).all() for c in checkpoints(run.folder).values() for v in c["state_dict"].values())
    assert train_main(name, folder=run.folder).result["status"] == "finished"


@pytest.mark.parametrize("name", GRADIENT)
def test_a_huge_learning_rate_ends_the_run(name: str, train_main: Train) -> None:
    run = train_main(name, "OPTIM.LR", "1e30")
    assert run.status == 1 and "loss is nan at epoch" in run.error and "OPTIM.LR" in run.error
    assert not (run.folder / "result.json").exists()


@pytest.mark.parametrize("name", TRAINED)
def test_no_test_means_no_figures(name: str, train_main: Train) -> None:
    result = train_main(name, "TEST.NO_TEST", "True", "OPTIM.MAX_EPOCH", "1").result
    assert (result["total"], result["correct"], result["accuracy"], result["zero_shot_accuracy"]) == (0, 0, None, None)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_the_validation_split_can_be_reported(name: str, train_main: Train) -> None:
    result = train_main(name, "TEST.SPLIT", "val", "OPTIM.MAX_EPOCH", "2").result
    assert (result["split"], result["total"]) == ("val", 6)
