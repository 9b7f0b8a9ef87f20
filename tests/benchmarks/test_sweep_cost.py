from pathlib import Path

import pytest
import torch

import experiments.runs.session
from amu_raft.features.store import FeatureStore
from benchmarks import sweep_cost, whole_run
from benchmarks.whole_run import Files

SETTINGS = {
    **{"OPTIM.MAX_EPOCH": "2", "OPTIM.WARMUP_EPOCH": "1", "TRAIN.NUM_THREADS": "1"},
    **{"TRAIN.VIEWS": "1", "DATALOADER.NUM_WORKERS": "0"},
}


def store_feature(folder: Path, feature: str, *, count: int, views: object = None, mark: int = 0) -> None:
    description = {"feature": feature, "views": views, "images": {"count": count}, "mark": mark}
    FeatureStore(folder).fetch({"it": description}, 2, lambda names: [{"it": torch.zeros(2, 3)}])


def test_runs_between_the_ends_lie_on_a_straight_line() -> None:
    assert sweep_cost.straight_line((1, 10.0), (16, 40.0), 6) == 20.0
    assert sweep_cost.straight_line((4, 10.0), (4, 10.0), 4) == 10.0


def test_only_features_of_the_test_images_are_counted(tmp_path: Path) -> None:
    store_feature(tmp_path, "clip", count=6)
    store_feature(tmp_path, "clip", count=5)  # other images
    store_feature(tmp_path, "clip", count=6, views={"count": 1})  # of training
    store_feature(tmp_path, "aux", count=6)
    store_feature(tmp_path, "aux", count=6, mark=1)
    assert sweep_cost.count_extractions(tmp_path, 6) == {"clip": 1, "aux": 2}
    with pytest.raises(RuntimeError, match="no features of 7 test images"):
        sweep_cost.count_extractions(tmp_path, 7)


def test_damage_is_not_counted(tmp_path: Path) -> None:
    store_feature(tmp_path, "clip", count=6)
    next(tmp_path.glob("??/*/rows.npy")).write_bytes(b"")
    with pytest.raises(RuntimeError, match="is damaged"):
        sweep_cost.count_extractions(tmp_path, 6)


def test_a_tiny_sweep(
    image_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(whole_run, "CONFIG", "tiny")
    monkeypatch.setattr(
        experiments.runs.session, "collect_env_info", lambda: ""
    )  # half a second of asking pip, every time
    files = Files(Path("tiny"), Path("tiny"), image_root)
    result = sweep_cost.measure(files, tmp_path, SETTINGS, shots=[1, 2], seeds=[1], num_test=9, say=lambda line: None)
    assert result["runs"] == 4
    assert result["test_features_computed"] == {"clip": 1, "aux": 1, "maps": 1}
    measured = result["without_store_seconds_measured"]
    assert measured.keys() == {"AMU-1-1", "AMU-2-1", "RAFT-1-1", "RAFT-2-1"}
    assert result["without_store_seconds"] == pytest.approx(sum(measured.values()))
    sweep_cost.print_result(result)
    assert "4 runs with the store, empty at first" in capsys.readouterr().out


def test_a_second_extraction_is_an_error(image_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_cost, "time_run", lambda *arguments: (1.0, {"zero_shot": 50.0}))
    monkeypatch.setattr(sweep_cost, "count_extractions", lambda store, num_test: {"clip": 2})
    files = Files(Path("tiny"), Path("tiny"), image_root)
    with pytest.raises(RuntimeError, match="more than once"):
        sweep_cost.measure(files, tmp_path, SETTINGS, shots=[1], seeds=[1], num_test=9, say=lambda line: None)


def test_other_results_without_the_store_are_an_error(
    image_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def time_run(key: object, files: object, settings: dict[str, str], output: Path) -> tuple[float, dict[str, float]]:
        return 1.0, {"zero_shot": 50.0 if settings["FEATURES.STORE"] == "off" else 51.0}

    monkeypatch.setattr(sweep_cost, "time_run", time_run)
    monkeypatch.setattr(sweep_cost, "count_extractions", lambda store, num_test: {"clip": 1})
    files = Files(Path("tiny"), Path("tiny"), image_root)
    with pytest.raises(RuntimeError, match="accuracies with and without the store differ"):
        sweep_cost.measure(files, tmp_path, SETTINGS, shots=[1], seeds=[1], num_test=9, say=lambda line: None)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--classes", "1"], "--classes must be at least 2, got 1"),
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--shots", "0", "4"], "--shots must be at least 1, got 0"),
    ],
)
def test_bad_numbers_are_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sweep_cost.main(argv)
    assert message in capsys.readouterr().err
