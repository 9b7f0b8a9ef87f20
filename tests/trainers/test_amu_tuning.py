"""AMU's choice of alpha, uncertainty, power and lambda on validation images."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.methods.amu.tuning import FusionSettings, configured_fusion, fusion_accuracies, read_grid
from amu_raft.methods.selection import beyond_chance

Train = Callable[..., Any]
TUNE = "TRAINER.AMU.TUNE"
CONFIGURED = "fusion_alpha 4, uncertainty kurtosis, uncertainty_power 0.4, standardize_aux True as configured: "
LAMBDAS = ("TRAINER.AMU.TUNE_LAMBDAS", "0, 1")


def trained(trainer: Any) -> Any:
    trainer.before_train()
    for epoch in range(trainer.max_epoch):
        trainer.epoch = epoch
        trainer.before_epoch()
        trainer.run_epoch()
    trainer.close_writer()
    return trainer


def far_better(trainer: Any, place: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one fusion of the grid be right on all validation images and every other one wrong."""

    def scripted(zero_shot: Any, aux: Any, labels: Any, grid: Any) -> torch.Tensor:
        table = torch.zeros([len(axis) for axis in grid], dtype=torch.float64)
        table[place] = 100.0
        return table

    monkeypatch.setattr("amu_raft.methods.amu.tuning.fusion_accuracies", scripted)


def test_the_surface_is_the_models_own_on_validation_images(build: Train) -> None:
    trainer = trained(build("AMU", TUNE, "post_hoc", "TRAINER.AMU.TUNE_ALPHAS", "0, 0.5, 2"))
    loader, trainer.test_loader = trainer.test_loader, None  # out of reach
    trainer.choose()
    trainer.test_loader = loader
    branches, labels = trainer.collect_branches("val", trainer.val_loader)
    grid = read_grid(trainer.method.settings)
    assert grid.fusion_alpha == [0.0, 2.0, 4.0, 8.0] and grid.uncertainty[0] == "kurtosis"
    expected = fusion_accuracies(branches["zero_shot"], branches["aux"], labels, grid)
    assert torch.equal(trainer.tuning.accuracies, expected)
    default = FusionSettings(4.0, "kurtosis", 0.4)
    assert trainer.tuning.place == beyond_chance(expected, 6, grid.place_of(default))
    assert configured_fusion(trainer.method.settings) == default
    assert trainer.method.choices == {**trainer.tuning.chosen, "standardize_aux": True}


def test_what_is_chosen_decides_and_is_recorded(build: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trained(build("AMU", TUNE, "post_hoc"))
    far_better(trainer, (0, 1, 2), monkeypatch)
    accuracy = trainer.test()
    chosen = {"fusion_alpha": 1.0, "uncertainty": "none", "uncertainty_power": 0.8}
    assert trainer.outcome.items() >= {**chosen, "loss_lambda": 0.35}.items()
    record = trainer.outcome["tuning"]
    assert (record["on"], record["method"], record["chosen"], record["images"]) == ("validation", "AMU", chosen, 6)
    assert record["axes"]["fusion_alpha"] == [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0]
    assert record["accuracy"][0][1][2] == 100.0
    branches, labels = trainer.collect_branches("test", trainer.test_loader)
    with torch.no_grad():
        own = branches["zero_shot"] + branches["aux"]
    torch.testing.assert_close(branches["fused"], own)
    assert accuracy == pytest.approx(100 * float((own.argmax(1) == labels).float().mean()))
    columns = trainer.describe_images(branches)
    assert columns["weight"].unique().tolist() == [1.0]  # of the fusion that decided


def test_training_goes_on_with_the_configured_fusion(train_main: Train, finished: Train) -> None:
    """The best epoch is compared at chosen settings, but what is trained does not depend on the choice."""
    plain = train_main("AMU", "TEST.FINAL_MODEL", "best_val")
    tuned = train_main("AMU", "TEST.FINAL_MODEL", "best_val", TUNE, "post_hoc")
    for run in (plain, tuned):
        path = run.folder / "adapter" / "model.pth.tar-4"
        expected = torch.load(finished("AMU").folder / "adapter" / "model.pth.tar-4", weights_only=True)
        assert torch.equal(
            torch.load(path, weights_only=True)["state_dict"]["fc.weight"], expected["state_dict"]["fc.weight"]
        )


def test_lambda_is_chosen_by_training_with_each(build: Train, train_main: Train) -> None:
    trainer = trained(build("AMU", TUNE, "all", *LAMBDAS, "DATASET.VALIDATION", "full"))
    trainer.choose()
    tuning = trainer.tuning
    assert list(tuning.axes) == ["loss_lambda", "fusion_alpha", "uncertainty", "uncertainty_power"]
    assert list(tuning.axes["loss_lambda"]) == [0.0, 0.35, 1.0]
    assert tuning.accuracies.shape == (3, 7, 4, 3) and tuning.chosen["loss_lambda"] == trainer.method.loss_lambda
    for index, value in enumerate((0.0, 0.35, 1.0)):
        alone = trained(build("AMU", TUNE, "off", "TRAINER.AMU.LOSS_LAMBDA", str(value)))
        branches, labels = alone.collect_branches("val", alone.val_loader)
        expected = fusion_accuracies(branches["zero_shot"], branches["aux"], labels, read_grid(trainer.method.settings))
        assert torch.equal(tuning.accuracies[index], expected)
        if value == trainer.method.loss_lambda:  # the trial and the training that follows go through the same steps
            assert torch.equal(alone.method.adapter.fc.weight, trainer.method.adapter.fc.weight)


def test_a_clearly_better_lambda_is_trained_with(build: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = build("AMU", TUNE, "all", *LAMBDAS)
    order = iter([0.0, 0.0, 100.0])
    monkeypatch.setattr(
        "amu_raft.methods.amu.tuning.fusion_accuracies",
        lambda *_: torch.full((7, 4, 3), next(order, 100.0), dtype=torch.float64),
    )
    trained(trainer)
    assert trainer.method.loss_lambda == 1.0
    alone = trained(build("AMU", TUNE, "off", "TRAINER.AMU.LOSS_LAMBDA", "1.0"))
    assert torch.equal(alone.method.adapter.fc.weight, trainer.method.adapter.fc.weight)
    assert trainer.optim.state_dict()["state"][0]["step"] == 4 * 2  # nothing is left of the trials
    trainer.choose()
    assert trainer.tuning.chosen["loss_lambda"] == 1.0 and trainer.method.facts()["loss_lambda"] == 1.0


def test_a_tuned_run_resumes_and_repeats(train_main: Train, figures_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainers.amu import AMU

    whole = train_main("AMU", TUNE, "all", *LAMBDAS)
    original = AMU.run_epoch

    def interrupted(self: Any) -> None:
        if self.epoch == 2:
            raise KeyboardInterrupt
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(AMU, "run_epoch", interrupted)
        stopped = train_main("AMU", TUNE, "all", *LAMBDAS)
    resumed = train_main("AMU", TUNE, "all", *LAMBDAS, folder=stopped.folder)
    assert "Previous epoch: 2" in resumed.out and "lambda" in resumed.out
    assert figures_of(resumed.result) == figures_of(whole.result)
    assert figures_of(train_main("AMU", TUNE, "all", *LAMBDAS, folder=stopped.folder).result) == figures_of(
        whole.result
    )


# ------------------------------------------------------------------------------------------------------ evaluated again


@pytest.fixture
def chosen_run(train_main: Train, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run that chose alpha 1, no uncertainty weight, power 0.8 and lambda 1."""
    order = iter([0.0, 0.0, 50.0, 50.0])

    def scripted(*_: Any) -> torch.Tensor:
        table = torch.full((7, 4, 3), next(order), dtype=torch.float64)
        table[0, 1, 2] = 100.0
        return table

    with monkeypatch.context() as patch:
        patch.setattr("amu_raft.methods.amu.tuning.fusion_accuracies", scripted)
        run = train_main("AMU", TUNE, "all", *LAMBDAS)
    assert run.status == 0, run.err
    return run


def test_other_classes_get_the_settings_of_the_model(
    chosen_run: Any, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    root = make_images(tmp_path / "data", {"bear": 6, "cat": 6, "red_fox": 6})
    model = ["--eval-only", "--model-dir", str(chosen_run.folder)]
    result = train_main("AMU", *model, root=root).result
    names = ("fusion_alpha", "uncertainty", "uncertainty_power", "loss_lambda")
    assert [result[name] for name in names] == [1.0, "none", 0.8, 1.0]
    assert [chosen_run.result[name] for name in names] == [1.0, "none", 0.8, 1.0]
    assert result["cfg"]["TRAINER"]["AMU"]["TUNE"] == "kept" and "tuning" not in result
    assert result["protocol"]["selected_on"] == "validation" and result["protocol"]["oracle"] is False
    given = train_main("AMU", *model, "TRAINER.AMU.FUSION_ALPHA", "3.0", root=root).result
    assert (given["fusion_alpha"], given["uncertainty"]) == (3.0, "none")


@pytest.mark.parametrize("tune", ["post_hoc", "all"])
def test_the_models_own_data_give_the_same_figures(tune: str, train_main: Train, figures_of: Any) -> None:
    run = train_main("AMU", TUNE, tune, *LAMBDAS)
    again = train_main("AMU", "--eval-only", "--model-dir", str(run.folder))
    keys = ("accuracy", "branches", "fusion_alpha", "uncertainty", "uncertainty_power", "loss_lambda", "protocol")
    assert {key: again.result[key] for key in keys} == {key: run.result[key] for key in keys}
    if tune == "post_hoc":
        assert figures_of(again.result) == {**figures_of(run.result), "mode": "eval"}


def test_a_model_without_a_result_keeps_the_configured_settings(chosen_run: Any, train_main: Train) -> None:
    (chosen_run.folder / "result.json").unlink()
    with pytest.warns(UserWarning, match=r"result\.json says which settings were chosen for the model"):
        run = train_main("AMU", "--eval-only", "--model-dir", str(chosen_run.folder))
    assert run.result["fusion_alpha"] == 4.0 and "tuning" not in run.result
    assert run.result["protocol"]["selected_on"] == "none"


# ------------------------------------------------------------------------------------------------- nothing to choose on


@pytest.mark.parametrize("tune", ["post_hoc", "all"])
def test_without_validation_images_nothing_is_chosen(
    tune: str, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, {"a": 2, "b": 2})
    run = train_main("AMU", TUNE, tune, root=tmp_path / "data")
    assert CONFIGURED + "the data set has no validation images of its own" in run.out
    assert run.result["protocol"]["selected_on"] == "none" and "tuning" not in run.result
    assert run.result["fusion_alpha"] == 4.0


def test_no_known_class_leaves_nothing_to_fuse(
    finished: Train, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    root = make_images(tmp_path / "data", {"ape": 6, "cat": 6})
    model = ["--eval-only", "--model-dir", str(finished("AMU").folder)]
    run = train_main("AMU", *model, TUNE, "post_hoc", root=root)
    assert run.status == 0 and CONFIGURED + "no class is known" in run.out


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (TUNE, "on", "TRAINER.AMU.TUNE is 'on'; choose from off, post_hoc, all, kept"),
        ("TRAINER.AMU.TUNE_ALPHAS", "1, two", "TRAINER.AMU.TUNE_ALPHAS is a list of numbers"),
        ("TRAINER.AMU.TUNE_POWERS", "-1", "TRAINER.AMU.TUNE_POWERS has -1.0; numbers from 0 to inf are accepted"),
        ("TRAINER.AMU.TUNE_LAMBDAS", "0.5, 1.5", "TRAINER.AMU.TUNE_LAMBDAS has 1.5; numbers from 0 to 1 are accepted"),
        ("TRAINER.AMU.TUNE_UNCERTAINTIES", "none, best", "TRAINER.AMU.TUNE_UNCERTAINTIES has 'best'; accepted are"),
    ],
)
def test_bad_settings(key: str, value: str, message: str, train_main: Train) -> None:
    run = train_main("AMU", key, value)
    assert run.status == 1 and message in run.error


def test_lambda_needs_cached_views(train_main: Train) -> None:
    run = train_main("AMU", TUNE, "all", "TRAIN.VIEWS", "online")
    assert run.status == 1 and 'TRAINER.AMU.TUNE "all" trains once for each lambda' in run.error
    assert 'set TRAIN.VIEWS to a number of views, or choose "post_hoc"' in run.error
    assert train_main("AMU", TUNE, "post_hoc", "TRAIN.VIEWS", "online").status == 0
