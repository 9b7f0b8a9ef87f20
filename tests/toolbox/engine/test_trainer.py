import random
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dassl.engine import SimpleTrainer, TrainerBase, TrainerX, TrainerXU, build_trainer
from dassl.modeling import BACKBONE_REGISTRY, Backbone
from dassl.utils import load_checkpoint


def clean(text: str, tmp_path: Path) -> str:
    """The text with times and the temporary folder replaced as in the records."""
    text = text.replace(str(tmp_path), "T")
    text = re.sub(r"Elapsed: \d+:\d\d:\d\d", "Elapsed: T", text)
    text = re.sub(r"eta \d+:\d\d:\d\d", "eta T", text)
    return re.sub(r"(time|data) \d+\.\d{3} \(\d+\.\d{3}\)", r"\1 T", text)


def files(folder: Path) -> list[str]:
    found = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(re.sub(r"events\.out.*", "events", name) for name in found)


def weight_sum(trainer: Any) -> float:
    return round(float(sum(p.abs().sum().item() for p in trainer.model.parameters())), 5)


def test_training_run(
    tmp_path: Path, tiny_trainer: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = tiny_trainer("t1", TRAIN__CHECKPOINT_FREQ=2)
    result = trainer.train()
    here = [
        clean(capsys.readouterr().out, tmp_path),
        trainer.calls,
        files(tmp_path / "t1"),
        repr(result),
        trainer.get_model_names(),
        str(trainer.device),
        weight_sum(trainer),
        (tmp_path / "t1" / "net" / "checkpoint").read_text(),
        [trainer.start_epoch, trainer.epoch, trainer.max_epoch, trainer.num_batches, trainer.batch_idx],
    ]
    record = recorded["items"]["trainer/train_last_step"]
    assert here[6] == pytest.approx(record[6], abs=2e-4)
    assert [*here[:6], *here[7:]] == [*record[:6], *record[7:]]


def test_resumed_run(
    tmp_path: Path, tiny_trainer: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_trainer("t4", OPTIM__MAX_EPOCH=2).train()
    capsys.readouterr()
    trainer = tiny_trainer("t4", OPTIM__MAX_EPOCH=3)
    trainer.train()
    here = [clean(capsys.readouterr().out, tmp_path), files(tmp_path / "t4")]
    text, tree, weights = recorded["items"]["trainer/resume"]
    assert here == [text, tree]
    assert weight_sum(trainer) == pytest.approx(weights, abs=2e-4)


def test_run_without_test(
    tmp_path: Path, tiny_trainer: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_trainer("t3", TEST__NO_TEST=True, OPTIM__MAX_EPOCH=1).train()
    assert clean(capsys.readouterr().out, tmp_path) == recorded["items"]["trainer/no_test"]


def test_evaluation_of_both_splits(
    tiny_trainer: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = tiny_trainer()
    val, test = trainer.test(split="val"), trainer.test()
    trainer.val_loader = None
    with pytest.warns(UserWarning, match="no validation set, so the test set stands in"):
        stand_in = trainer.test(split="val")
    here = [*(round(result, 4) for result in (val, test, stand_in)), capsys.readouterr().out]
    assert here == recorded["items"]["trainer/test_val_split_and_return"]


def test_every_batch_is_printed_in_short_epochs(
    tiny_trainer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_trainer(TRAIN__PRINT_FREQ=10, OPTIM__MAX_EPOCH=2, TEST__NO_TEST=True).train()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(lines) == 6
    # The rate is stepped at the last batch, whose line already shows that of the next epoch.
    assert [line.split(" lr ")[1].split()[0] for line in lines[1:4]] == ["5.0000e-02", "2.5000e-02", "2.5000e-02"]


class Scripted:
    """Replaces a trainer's test on the validation set by given results."""

    def __init__(self, trainer: Any, results: list[float], split: str = "val") -> None:
        self.real, self.results, self.split = trainer.test, list(results), split
        trainer.test = self

    def __call__(self, split: str | None = None) -> Any:
        return self.results.pop(0) if split == self.split else self.real(split)


@pytest.mark.parametrize("split", ["val", "test"])
def test_best_model_is_deployed(
    split: str, tmp_path: Path, tiny_trainer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = tiny_trainer(TEST__FINAL_MODEL=f"best_{split}")
    Scripted(trainer, [30.0, 50.0, 50.0], split)
    trainer.train()
    best = load_checkpoint(str(tmp_path / "run" / "net" / "model-best.pth.tar"))
    assert (best["epoch"], best["val_result"], trainer.best_result) == (2, 50.0, 50.0)
    assert files(tmp_path / "run") == [
        "net/checkpoint",
        "net/model-best.pth.tar",
        "net/model.pth.tar-3",
        "tensorboard/events",
    ]
    text = clean(capsys.readouterr().out, tmp_path)
    assert (
        f"Deploy the model with the best {split} performance\nLoad T/run/net/model-best.pth.tar to net (epoch=2, "
        in text
    )
    assert "val_result=50.0)\n" in text


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("split", ["val", "test"])
def test_resumed_run_does_not_lose_the_best_model(
    tmp_path: Path, tiny_trainer: Callable[..., Any], elsewhere: bool, split: str
) -> None:
    best_of = {"TEST__FINAL_MODEL": f"best_{split}"}
    first = tiny_trainer("a", **best_of, OPTIM__MAX_EPOCH=2)
    Scripted(first, [60.0, 40.0], split)
    first.train()
    changes = {"RESUME": str(tmp_path / "a")} if elsewhere else {}
    second = tiny_trainer("b" if elsewhere else "a", **best_of, OPTIM__MAX_EPOCH=3, **changes)
    Scripted(second, [50.0], split)
    second.train()
    best = load_checkpoint(str(tmp_path / ("b" if elsewhere else "a") / "net" / "model-best.pth.tar"))
    assert (best["epoch"], best["val_result"], second.best_result) == (1, 60.0, 60.0)


def test_resume_with_no_best_model_yet(tiny_trainer: Callable[..., Any]) -> None:
    tiny_trainer("a", OPTIM__MAX_EPOCH=1).train()
    trainer = tiny_trainer("a", TEST__FINAL_MODEL="best_val", OPTIM__MAX_EPOCH=2)
    Scripted(trainer, [10.0])
    trainer.train()
    assert trainer.best_result == 10.0


def test_resume_from_a_best_model_without_a_result(tmp_path: Path, tiny_trainer: Callable[..., Any]) -> None:
    first = tiny_trainer("a", OPTIM__MAX_EPOCH=1)
    first.train()
    first.save_model(0, first.output_dir, model_name="model-best.pth.tar")
    trainer = tiny_trainer("a", TEST__FINAL_MODEL="best_val", OPTIM__MAX_EPOCH=1)
    trainer.train()
    assert trainer.best_result == -float("inf")


def test_best_result_of_a_trainer_without_models(tiny_trainer: Callable[..., Any]) -> None:
    trainer = tiny_trainer("a", TEST__FINAL_MODEL="best_val", OPTIM__MAX_EPOCH=2)
    trainer._models.clear()
    trainer.resume_model_if_exist = lambda directory: 1  # a method that keeps its own files
    trainer.before_train()
    assert (trainer.start_epoch, trainer.best_result) == (1, -float("inf"))


def test_warmup_run_resumes_as_if_never_stopped(tiny_trainer: Callable[..., Any]) -> None:
    changes = {"OPTIM__WARMUP_EPOCH": 1, "OPTIM__WARMUP_TYPE": "constant", "TEST__NO_TEST": True}
    whole = tiny_trainer("whole", OPTIM__MAX_EPOCH=4, **changes)
    rates: dict[int, float] = {}

    def note(trainer: Any) -> None:
        trainer.before_epoch = lambda: rates.__setitem__(trainer.epoch, trainer.get_current_lr())

    note(whole)
    whole.train()
    expected = dict(rates)
    stopped = tiny_trainer("parts", OPTIM__MAX_EPOCH=4, TRAIN__CHECKPOINT_FREQ=1, **changes)
    stopped.max_epoch = 2
    stopped.train()
    rates.clear()
    resumed = tiny_trainer("parts", OPTIM__MAX_EPOCH=4, **changes)
    note(resumed)
    resumed.train()
    assert rates == pytest.approx({epoch: rate for epoch, rate in expected.items() if epoch >= 2})


def test_model_loading(
    tmp_path: Path, tiny_trainer: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_trainer("a", OPTIM__MAX_EPOCH=1, TEST__NO_TEST=True).train()
    capsys.readouterr()
    trainer = tiny_trainer("b")
    assert [trainer.load_model(""), capsys.readouterr().out] == recorded["items"]["trainer/load_model_none"]
    with pytest.raises(FileNotFoundError) as caught:
        trainer.load_model(str(tmp_path / "none"), epoch=3)
    here = [type(caught.value).__name__, str(caught.value).replace(str(tmp_path), "T")]
    assert here == recorded["items"]["trainer/load_model_missing"]
    trainer.load_model(str(tmp_path / "a"), epoch=1)
    assert clean(capsys.readouterr().out, tmp_path) == "Load T/a/net/model.pth.tar-1 to net (epoch=1)\n"


def test_misfit_names_file_and_model(tmp_path: Path, tiny_trainer: Callable[..., Any]) -> None:
    trainer = tiny_trainer("a", OPTIM__MAX_EPOCH=1, TEST__NO_TEST=True)
    trainer.train()
    trainer._models["net"] = torch.nn.Sequential(*list(trainer.model)[:2], torch.nn.Linear(12, 4))
    with pytest.raises(RuntimeError) as caught:
        trainer.load_model(str(tmp_path / "a"), epoch=1)
    assert str(caught.value) == (
        f"{tmp_path}/a/net/model.pth.tar-1 does not fit the model net: "
        "of another shape: 2.weight (6, 12) instead of (4, 12), 2.bias (6,) instead of (4,)"
    )


def test_unwritable_output_folder_is_named(tmp_path: Path, tiny_trainer: Callable[..., Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Cannot make the folder .*file/tensorboard"):
        tiny_trainer("file").train()


def test_nan_loss_ends_the_run(tiny_trainer: Callable[..., Any]) -> None:
    trainer = tiny_trainer()
    torch.nn.init.constant_(trainer.model[2].bias, float("nan"))
    with pytest.raises(FloatingPointError, match=r"^Loss is infinite or NaN!$"):
        trainer.train()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_losses_that_are_not_finite(value: Any, dtype: torch.dtype) -> None:
    trainer = TrainerBase()
    for finite in (torch.tensor(1.0, dtype=dtype), torch.tensor([1.0], dtype=dtype), torch.ones(2, dtype=dtype)):
        trainer.detect_anomaly(finite)
    with pytest.raises(FloatingPointError, match="Loss is infinite or NaN!"):
        trainer.detect_anomaly(torch.tensor(value, dtype=dtype))


def test_unknown_trainers(make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"belong to \[.*\], but got \[TinyTrainr\] \(do you mean \[TinyTrainer\]\?\)"):
        build_trainer(make_cfg(TRAINER__NAME="TinyTrainr"))
    for name in ("FixMatch", "DAEL", "DANN"):
        with pytest.raises(ValueError, match=rf"Trainer {name} is .* only upstream Dassl\.pytorch carries; use that"):
            build_trainer(make_cfg(TRAINER__NAME=name))


def test_loading_is_announced(tiny_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    build_trainer(tiny_cfg(VERBOSE=True))
    assert capsys.readouterr().out.startswith("Loading trainer: TinyTrainer\nLoading dataset: TinySet\n")


def test_registration_rules(recorded: dict[str, Any]) -> None:
    class Unready(TrainerBase):
        def __init__(self) -> None:
            pass

    def twice() -> None:
        trainer = TrainerBase()
        trainer.register_model("a", None)
        trainer.register_model("a", None)

    seen = []
    for action in (
        lambda: Unready().register_model("a", torch.nn.Linear(1, 1)),
        twice,
        lambda: TrainerBase().get_model_names("q"),
        lambda: TrainerBase().run_epoch(),
    ):
        with pytest.raises((AttributeError, AssertionError, NotImplementedError)) as caught:
            action()
        seen.append([type(caught.value).__name__, str(caught.value)])
    assert seen == recorded["items"]["trainer/register_rules"]


@pytest.mark.parametrize(
    ("present", "kind"), [([], "model"), (["_models"], "optim"), (["_models", "_optims"], "sched")]
)
def test_each_part_of_the_base_constructor_is_checked(present: list[str], kind: str) -> None:
    trainer = TrainerBase.__new__(TrainerBase)
    vars(trainer).update({name: {} for name in present})
    with pytest.raises(AttributeError, match=rf"Cannot assign {kind} before super\(\).__init__\(\) call"):
        trainer.register_model("a")


def test_two_models() -> None:
    trainer = TrainerBase()
    first, second = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    optimiser = torch.optim.SGD(first.parameters(), lr=0.1)
    trainer.register_model("first", first, optimiser, torch.optim.lr_scheduler.StepLR(optimiser, 1))
    trainer.register_model("second", second)
    assert trainer.get_model_names() == ["first", "second"]
    assert trainer.get_model_names("second") == ["second"]
    assert trainer.get_model_names(("second", "first")) == ["second", "first"]
    trainer.set_model_mode("eval", "first")
    assert (first.training, second.training) == (False, True)
    trainer.set_model_mode("test")
    assert not second.training
    trainer.set_model_mode()
    assert first.training
    with pytest.raises(KeyError, match="mode must be train, test or eval, but got nope"):
        trainer.set_model_mode("nope")
    before = first.weight.item()
    trainer.model_backward_and_update(first(torch.ones(1, 1)).sum() + second(torch.ones(1, 1)).sum())
    assert first.weight.item() == pytest.approx(before - 0.1)
    trainer.update_lr()
    assert optimiser.param_groups[0]["lr"] == pytest.approx(0.01)


def test_modes_go_through_the_methods_that_models_override() -> None:
    class Fussy(torch.nn.Module):
        def eval(self) -> "Fussy":
            self.mode = "eval"
            return self

        def train(self, mode: bool = True) -> "Fussy":
            self.mode = f"train({mode})"
            return self

    trainer, model = TrainerBase(), Fussy()
    trainer.register_model("fussy", model)
    trainer.set_model_mode("eval")
    assert model.mode == "eval"
    trainer.set_model_mode("train")
    assert model.mode == "train(True)"


def test_wrapped_models_are_saved_and_resumed_unprefixed(tmp_path: Path) -> None:
    trainer: Any = TrainerBase()
    trainer.register_model("net", torch.nn.DataParallel(torch.nn.Linear(1, 1)))
    trainer.save_model(0, str(tmp_path))
    assert list(load_checkpoint(str(tmp_path / "net" / "model.pth.tar-1"))["state_dict"]) == ["weight", "bias"]
    assert trainer.resume_model_if_exist(str(tmp_path)) == 1
    bare: Any = TrainerBase()
    bare.register_model("net", torch.nn.Linear(1, 1))
    bare.load_model(str(tmp_path), epoch=1)
    assert torch.equal(bare._models["net"].weight, trainer._models["net"].module.weight)


def test_models_saved_half_way_resume_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def make() -> TrainerBase:
        trainer = TrainerBase()
        for name in ("first", "second"):
            trainer.register_model(name, torch.nn.Linear(1, 1))
        return trainer

    trainer = make()
    trainer.save_model(0, str(tmp_path))
    trainer.save_model(1, str(tmp_path))
    (tmp_path / "second" / "model.pth.tar-2").unlink()
    (tmp_path / "second" / "checkpoint").write_text("model.pth.tar-1\n")
    assert make().resume_model_if_exist(str(tmp_path)) == 1
    assert capsys.readouterr().out.count("Previous epoch: 1\n") == 2


def test_trainer_without_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = TrainerBase()
    assert trainer.get_model_names() == []
    trainer.set_model_mode("eval")
    trainer.update_lr()
    trainer.save_model(0, str(tmp_path))
    trainer.load_model(str(tmp_path))
    assert trainer.resume_model_if_exist(str(tmp_path)) == 0
    assert capsys.readouterr().out == "No checkpoint found, train from scratch\n"
    assert list(tmp_path.iterdir()) == []


def test_registered_nothing(tmp_path: Path) -> None:
    trainer = TrainerBase()
    trainer.register_model("empty")
    trainer.set_model_mode("eval")
    trainer.model_zero_grad()
    trainer.model_update()
    trainer.save_model(0, str(tmp_path))
    trainer.load_model(str(tmp_path), epoch=1)
    assert trainer.resume_model_if_exist(str(tmp_path)) == 0


def test_tensorboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = TrainerBase()
    trainer.write_scalar("x", 1.0)
    trainer.close_writer()
    trainer.init_writer(str(tmp_path))
    trainer.init_writer(str(tmp_path))
    trainer.write_scalar("x", 1.0, 0)
    trainer.close_writer()
    assert capsys.readouterr().out == f"Initialize tensorboard (log_dir={tmp_path})\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_training_goes_on_without_tensorboard(
    tiny_trainer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    trainer = tiny_trainer(OPTIM__MAX_EPOCH=1)
    with pytest.warns(UserWarning, match="No event files are written, because tensorboard is missing"):
        trainer.train()
    assert trainer.epoch == 0 and trainer._writer is None


def test_what_comes_before_the_first_batch_draws_no_random_numbers(tiny_trainer: Callable[..., Any]) -> None:
    def states() -> list[Any]:
        numpy_state: Any = np.random.get_state()
        return [random.getstate(), *numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state().tolist()]

    trainer = tiny_trainer(TEST__FINAL_MODEL="best_val")
    before = states()
    trainer.before_train()
    trainer.before_epoch()
    trainer.test(split="val")
    trainer.save_model(0, trainer.output_dir, val_result=1.0, model_name="model-best.pth.tar")
    after = states()
    trainer.close_writer()
    assert after[:-1] == before[:-1]
    # An evaluation begins one pass over a loader, which takes one draw from torch's generator: its base seed.
    tiny_trainer("again")
    torch.empty((), dtype=torch.int64).random_()
    assert torch.get_rng_state().tolist() == after[-1]


def test_scalars_that_are_written(tiny_trainer: Callable[..., Any]) -> None:
    trainer = tiny_trainer(OPTIM__MAX_EPOCH=1)
    seen = []
    trainer.write_scalar = lambda tag, value, step: seen.append((tag, step))
    trainer.train()
    per_batch = [(tag, step) for step in range(3) for tag in ("train/loss", "train/lr")]
    assert seen == [*per_batch, ("test/accuracy", 0), ("test/error_rate", 0), ("test/macro_f1", 0)]


def test_outline_of_training() -> None:
    calls: list[Any] = []

    class Outline(TrainerBase):
        def before_train(self) -> None:
            super().before_train()
            self.start_epoch = 2
            calls.append("before_train")

        def before_epoch(self) -> None:
            super().before_epoch()
            calls.append(("before", self.epoch))

        def run_epoch(self) -> None:
            calls.append(("run", self.epoch))

        def after_epoch(self) -> None:
            super().after_epoch()
            calls.append(("after", self.epoch))

        def after_train(self) -> None:
            super().after_train()
            calls.append("after_train")

    Outline().train(0, 4)
    epochs = [(step, epoch) for epoch in (2, 3) for step in ("before", "run", "after")]
    assert calls == ["before_train", *epochs, "after_train"]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("run_epoch", ()),
        ("test", ()),
        ("parse_batch_train", ({},)),
        ("parse_batch_test", ({},)),
        ("forward_backward", ({},)),
        ("model_inference", (None,)),
    ],
)
def test_open_methods(method: str, arguments: Any) -> None:
    with pytest.raises(NotImplementedError):
        getattr(TrainerBase(), method)(*arguments)


class Pool(Backbone):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self._out_features = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def test_default_model(tmp_path: Path, tiny_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    BACKBONE_REGISTRY.register(Pool)
    torch.save({"classifier.bias": torch.full((6,), 7.0)}, tmp_path / "w.pt")
    cfg = tiny_cfg(MODEL__BACKBONE__NAME="Pool", MODEL__INIT_WEIGHTS=str(tmp_path / "w.pt"))
    trainer = TrainerX(cfg)
    assert trainer.model.classifier.bias.tolist() == [7.0] * 6
    assert trainer.get_model_names() == ["model"]
    assert "Building model\n" in capsys.readouterr().out
    assert 0 <= trainer.test() <= 100
    with pytest.raises(NotImplementedError):
        trainer.forward_backward({})


def test_rate_of_the_first_model_that_has_one(tiny_trainer: Callable[..., Any]) -> None:
    trainer = tiny_trainer()
    trainer.register_model("frozen", torch.nn.Linear(1, 1))
    assert trainer.get_current_lr() == 0.05
    assert trainer.get_current_lr("net") == 0.05
    assert trainer.get_current_lr(["frozen", "net"]) == 0.05
    assert trainer.get_current_lr("frozen") == 0.0


def test_base_trainer_cannot_train(tiny_cfg: Callable[..., Any]) -> None:
    class Loopless(SimpleTrainer):
        def build_model(self) -> None:
            pass

    with pytest.raises(NotImplementedError):
        Loopless(tiny_cfg()).train()


class PairTrainer(TrainerXU):
    def build_model(self) -> None:
        self.pairs: list[Any] = []

    def forward_backward(self, batch_x: Any, batch_u: Any) -> Any:
        images, labels, unlabelled = self.parse_batch_train(batch_x, batch_u)
        self.pairs.append((batch_x["index"].tolist(), batch_u["index"].tolist()))
        assert images.shape == (*labels.shape, 3, 32, 32)
        assert unlabelled.shape == (8, 3, 32, 32)


@pytest.mark.parametrize(("count", "batches"), [("train_x", 3), ("train_u", 1), ("smaller_one", 1)])
def test_pairs_of_batches(
    count: str, batches: int, tiny_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = PairTrainer(tiny_cfg(TRAIN__COUNT_ITER=count, OPTIM__MAX_EPOCH=1, TEST__NO_TEST=True))
    trainer.train()
    assert len(trainer.pairs) == batches
    labelled = [index for indices, _ in trainer.pairs for index in indices]
    assert len(set(labelled)) == len(labelled)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert len(lines) == 1  # every second of three batches, or the only one
    assert re.search(r"data \d\.\d{3} \(\d\.\d{3}\) lr 0\.0000e\+00 eta", lines[0])


def test_pairs_need_both_loaders_and_a_known_count(tiny_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="needs unlabelled data, but the data set has no train_u"):
        PairTrainer(tiny_cfg(DATASET__NAME="TestOnlySet")).run_epoch()
    with pytest.raises(ValueError, match=r"COUNT_ITER must be one of \['train_x', 'train_u', 'smaller_one'\]"):
        PairTrainer(tiny_cfg(TRAIN__COUNT_ITER="nope")).run_epoch()
    with pytest.raises(NotImplementedError):
        TrainerXU.forward_backward(PairTrainer(tiny_cfg()), {}, {})


def test_same_seed_same_run_in_one_process(tiny_trainer: Callable[..., Any]) -> None:
    sums = []
    for folder in ("a", "b"):
        trainer = tiny_trainer(folder, OPTIM__MAX_EPOCH=2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trainer.train()
        sums.append([parameter.clone() for parameter in trainer.model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*sums, strict=True))
