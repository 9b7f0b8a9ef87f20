import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.features.views import ViewDataset
from benchmarks import whole_run
from benchmarks.whole_run import Files

COMMON = {"DATASET.NUM_SHOTS": "2", "TRAIN.NUM_THREADS": "1", "DATALOADER.NUM_WORKERS": "0"}


@pytest.fixture
def tiny_files(image_root: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """The bundled tiny encoders in place of the full-size ones."""
    monkeypatch.setattr(whole_run, "CONFIG", "tiny")
    return Files(Path("tiny"), Path("tiny"), image_root)


def test_the_epochs_left_out_count_as_the_fastest_one() -> None:
    assert whole_run.computed_total(30.0, [11.0, 10.0], 50) == 30 + 48 * 10


def test_epochs_are_read_from_what_a_run_prints() -> None:
    printed = "epoch [1/2] loss 1.8 lr 1.0000e-03 time 140.90s\nElapsed: 0:05\nepoch [2/2] loss 1 lr 1e-3 time 0.02s\n"
    assert [float(figure) for figure in whole_run.EPOCH_LINE.findall(printed)] == [140.9, 0.02]


def test_only_the_slow_side_is_plain_and_online() -> None:
    online = whole_run.online_settings("RAFT", COMMON)
    cached = whole_run.cached_settings(COMMON, views=8, store=Path("s"))
    slow = {"TRAIN.VIEWS": "online", "FEATURES.STORE": "off", "MODEL.ENCODER_LAYERS": "plain"}
    assert online == {**COMMON, **slow, "TRAINER.RAFT.POOLING": "plain"}
    assert cached == {**COMMON, "TRAIN.VIEWS": "8", "FEATURES.STORE": "s"}
    assert whole_run.online_settings("AMU", COMMON) == {**COMMON, **slow}


@pytest.mark.parametrize("method", whole_run.METHODS)
def test_both_sides_compute_the_same(method: str, tiny_files: Files, tmp_path: Path) -> None:
    differences = whole_run.check_same(method, tiny_files, COMMON, tmp_path)
    assert differences.keys() == whole_run.TOLERANCES.keys()
    assert all(value <= whole_run.TOLERANCES[name] for name, value in differences.items())


def test_other_pixels_are_noticed(tiny_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        whole_run,
        "ViewDataset",
        lambda images, num_views, seed: ViewDataset(images, num_views=num_views, seed=seed + 1),
    )
    with pytest.raises(RuntimeError, match="The two sides differ in loss"):
        whole_run.check_same("AMU", tiny_files, COMMON, tmp_path)


def test_a_first_batch_of_one_class_shows_nothing(
    tiny_files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = whole_run.build

    def one_class(arguments: Any) -> Any:
        trainer = build(arguments)
        if hasattr(trainer.train_loader_x, "labels"):
            trainer.train_loader_x.labels = torch.zeros_like(trainer.train_loader_x.labels)
        return trainer

    monkeypatch.setattr(whole_run, "build", one_class)
    with pytest.raises(RuntimeError, match="one class only"):
        whole_run.check_same("AMU", tiny_files, COMMON, tmp_path)


def test_results_that_differ_are_noticed() -> None:
    def result(zero_shot: float, fused: float) -> dict[str, Any]:
        return {"zero_shot_accuracy": zero_shot, "branches": {"zero_shot": zero_shot, "fused": fused}}

    same = {"online": result(50.0, 60.0), "cold": result(50.0, 70.0), "warm": result(50.0, 70.0)}
    whole_run._check_results(same)
    with pytest.raises(RuntimeError, match="Zero-shot accuracies differ"):
        whole_run._check_results({**same, "online": result(51.0, 60.0)})
    with pytest.raises(RuntimeError, match="another result"):
        whole_run._check_results({**same, "warm": result(50.0, 71.0)})


def test_a_run_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"train\.py --trainer AMU failed"):
        whole_run.time_run(["--trainer", "AMU"], tmp_path)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--measured-epochs", "0"], "--measured-epochs must be at least 1, got 0"),
        (["--classes", "1"], "--classes must be at least 2, got 1"),
        (["--epochs", "1"], "--measured-epochs 2 are more than --epochs 1"),
    ],
)
def test_bad_numbers_are_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        whole_run.main(argv)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_three_sides_of_a_tiny_run(tiny_files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = {**COMMON, "OPTIM.WARMUP_EPOCH": "1"}
    result = whole_run.measure(
        "RAFT", tiny_files, tmp_path, common, views=2, num_epochs=4, measured_epochs=2, rounds=1, say=print
    )
    assert result["seconds"].keys() == {"online", "cold", "warm"}
    assert result["seconds"]["online"]["min"] >= result["online_seconds_measured"]["min"]
    whole_run.print_result({**result, "largest_differences": {"loss": 0.0}})
    assert "online / warm" in capsys.readouterr().out
