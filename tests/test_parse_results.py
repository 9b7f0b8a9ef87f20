import csv
import io
import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from parse_results import main
from results.rows import spread
from results.run_folders import TEST_ENDS, TRAINING_ENDS, scores_in_log

RESULT: dict[str, Any] = {
    "schema": 1,
    "status": "finished",
    "trainer": "AMU",
    "dataset": "digits",
    "dataset_name": "Digits",
    "config": "tiny",
    "num_shots": 16,
    "seed": 1,
    "subsample_classes": "all",
    "protocol": {"final_model": "last_step", "selected_on": "validation", "views": "8", "oracle": False},
    "accuracy": 90.0,
    "macro_f1": 89.0,
    "zero_shot_accuracy": 65.0,
}


def write_result(base: Path, seed: int = 1, **changes: Any) -> Path:
    result = RESULT | {"seed": seed} | changes
    name = f"{result['config']}_{result['num_shots']}shots"
    folder = base / str(result["dataset"]) / str(result["trainer"]) / name / f"seed{seed}"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def evaluation(accuracy: float) -> str:
    return (
        f"=> result\n* total: 1,000\n* correct: {accuracy * 10:.0f}\n* accuracy: {accuracy:.1f}%\n"
        f"* error: {100 - accuracy:.1f}%\n* macro_f1: {accuracy - 1:.1f}%\n"
    )


def write_log(folder: Path, text: str, name: str = "log.txt") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def entries(capsys: pytest.CaptureFixture[str], *args: object) -> list[dict[str, Any]]:
    assert main([*map(str, args), "--format", "json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


# ------------------------------------------------------------------ result.json
def test_mean_deviation_and_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, accuracy in ((1, 90.0), (2, 91.0), (3, 92.0)):
        write_result(tmp_path, seed, accuracy=accuracy, zero_shot_accuracy=60.0 + seed)
    [row] = entries(capsys, tmp_path)
    assert {key: row[key] for key in ("dataset", "trainer", "config", "shots", "subset")} == {
        "dataset": "digits",
        "trainer": "AMU",
        "config": "tiny",
        "shots": 16,
        "subset": "all",
    }
    assert (row["accuracy"], row["accuracy_std"], row["macro_f1"], row["error"]) == (91.0, 1.0, 89.0, 9.0)
    assert (row["zero_shot_accuracy"], row["seeds_finished"], row["seeds_wanted"]) == (62.0, 3, 3)
    assert row["problems"] == "" and row["oracle"] is False
    [row] = entries(capsys, tmp_path, "--ci95")
    assert row["accuracy_ci95"] == pytest.approx(4.302653 / math.sqrt(3))
    [row] = entries(capsys, tmp_path, "--keyword", "error")
    assert (row["error"], row["error_std"]) == (9.0, 1.0)
    [row] = entries(capsys, tmp_path, "--keyword", "macro_f1")
    assert row["macro_f1_std"] == 0.0


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2, 3):
        write_result(tmp_path, seed, accuracy=90.0 + seed)
    write_result(tmp_path, 1, trainer="RAFT", zero_shot_accuracy=None)
    write_result(tmp_path, 1, trainer="ZeroshotCLIP", num_shots=0, accuracy=64.5, zero_shot_accuracy=64.5)
    assert main([str(tmp_path)]) == 0
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    header = ["data set", "trainer", "config", "shots", "accuracy ± std", "macro_f1"]
    assert lines[0] == [*header, "zero-shot accuracy", "seeds", "missing or unfinished"]
    assert lines[2] == ["digits", "AMU", "tiny", "16", "92.00 ± 1.00", "89.00", "65.00", "3/3", ""]
    assert lines[3] == ["digits", "RAFT", "tiny", "16", "90.00", "89.00", "64.50", "1/3", "missing 2, 3"]
    assert lines[4] == ["digits", "ZeroshotCLIP", "tiny", "0", "64.50", "89.00", "64.50", "1/3", "missing 2, 3"]
    assert main([str(tmp_path), "--seeds", "1"]) == 0
    assert "missing 2" not in capsys.readouterr().out
    assert main([str(tmp_path), "--seeds", "1", "4"]) == 0
    assert "| 3/4     | missing 4" in capsys.readouterr().out


@pytest.mark.parametrize("style", ["plain", "latex", "csv"])
def test_other_formats(style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, 1, accuracy=90.25, subsample_classes="new")
    assert main([str(tmp_path), "--format", style]) == 0
    out = capsys.readouterr().out
    assert "90.25" in out
    if style == "csv":
        [row] = csv.DictReader(io.StringIO(out))
        assert row["subset"] == "new" and row["accuracy_std"] == ""
    else:
        assert "digits (new)" in out
    assert ("tabular" in out) == (style == "latex")


def test_what_did_not_finish_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, 1)
    write_log(write_result(tmp_path, 2, status="running"), evaluation(50))
    write_log(tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed3", "epoch [1/50]\n")
    (tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed4").mkdir()
    [row] = entries(capsys, tmp_path, "--seeds", 1, 2, 3, 4, 5)
    assert row["accuracy"] == 90.0 and row["accuracy_std"] is None
    assert (row["seeds_finished"], row["seeds_wanted"]) == (1, 5)
    assert row["problems"] == "missing 5; unfinished 2, 3, 4"
    assert main([str(tmp_path / "digits" / "AMU" / "tiny_16shots" / "seed4")]) == 0
    assert "| -" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        '{"schema": 1, "stat',
        "[]",
        "{}",
        json.dumps(RESULT | {"schema": 2}),
        json.dumps(RESULT | {"accuracy": None}),
        json.dumps(RESULT | {"accuracy": float("nan")}),
        json.dumps(RESULT | {"zero_shot_accuracy": "65"}),
        json.dumps({key: value for key, value in RESULT.items() if key != "protocol"}),
    ],
)
def test_a_damaged_result_is_named_and_unfinished(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(tmp_path, 1)
    folder = write_result(tmp_path, 2)
    (folder / "result.json").write_text(content)
    write_log(folder, "Finish training\n" + evaluation(70))
    assert main([str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert f"{folder / 'result.json'} is damaged, counted as unfinished" in captured.err
    assert "| 90.00 " in captured.out and "1/2" in captured.out and "unfinished 2" in captured.out


def test_oracle_rows_carry_a_dagger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, 1, protocol=RESULT["protocol"] | {"oracle": True})
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "AMU†" in out and "† chosen with the help of test labels" in out
    assert entries(capsys, tmp_path)[0]["oracle"] is True


def test_a_repeated_seed_is_named_and_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_result(tmp_path, 1)
    write_log(folder.parent / "seed1_old", "")
    (folder.parent / "seed1_old" / "result.json").write_text(json.dumps(RESULT | {"accuracy": 10.0}))
    assert main([str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "90.00 " in captured.out and "1/1" in captured.out
    assert "seed1_old repeats seed 1 of a run beside it and is not counted" in captured.err


def test_equal_labels_in_two_places_are_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path / "a", 1, accuracy=90.0)
    write_result(tmp_path / "b", 1, accuracy=80.0)
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "folder" in out and str(tmp_path / "a" / "digits") in out and "80.00" in out
    assert len(entries(capsys, tmp_path / "a", tmp_path / "a" / "digits")) == 1  # the same run is read once


def test_folders_below_the_current_one_are_shown_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        write_result(tmp_path / name, 1, accuracy=90.0)
    monkeypatch.chdir(tmp_path)
    assert main(["a", "b"]) == 0
    out = capsys.readouterr().out
    assert "| a/digits" in out and str(tmp_path) not in out


def test_nothing_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tensorboard").mkdir()
    for path, message in ((tmp_path, "no runs below"), (tmp_path / "nowhere", "is no folder")):
        assert main([str(path)]) == 1
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert message in captured.err and str(path) in captured.err


# ------------------------------------------------------------------ CoOp-style logs
@pytest.mark.parametrize("end", ["Finish training", "Finished training"])
def test_the_last_accuracy_after_the_end_of_training_counts(end: str) -> None:
    log = f"{evaluation(40)}epoch [50/50]\n  {end}  \nDeploy the last-epoch model\n{evaluation(61.5)}{evaluation(62.5)}"
    assert scores_in_log(log, TRAINING_ENDS) == {"accuracy": 62.5, "error": 37.5, "macro_f1": 61.5}


def test_logs_without_an_end_or_without_a_result_after_it() -> None:
    assert scores_in_log(evaluation(40), TRAINING_ENDS) == {}
    assert scores_in_log(evaluation(40) + "Finish training\n", TRAINING_ENDS) == {}
    assert scores_in_log(evaluation(40) + "I Finish training now\n" + evaluation(50), TRAINING_ENDS) == {}
    assert scores_in_log("", TEST_ENDS) == {}
    assert scores_in_log(evaluation(40) + evaluation(45), TEST_ENDS)["accuracy"] == 45.0
    assert scores_in_log("=> result\n* accuracy: 1e+02%\n", TEST_ENDS) == {"accuracy": 100.0}


def test_training_logs_in_this_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "caltech101" / "CoOp" / "rn50_16shots" / "nctx16_cscFalse"
    for seed, accuracy in ((1, 60.0), (2, 62.0)):
        write_log(base / f"seed{seed}", "Finish training\n" + evaluation(accuracy))
    write_log(base / "seed3", "epoch [3/50]\nTraceback (most recent call last):\n")
    for path in (base, base.parent, base.parent.parent.parent, base / ".." / "nctx16_cscFalse"):
        rows = entries(capsys, path) if ".." not in str(path) else entries(capsys, path.resolve())
        assert [rows[0][key] for key in ("dataset", "trainer", "config", "shots")] == [
            "caltech101",
            "CoOp",
            "rn50/nctx16_cscFalse",
            16,
        ]
        assert (rows[0]["accuracy"], rows[0]["macro_f1"], rows[0]["problems"]) == (61.0, 60.0, "unfinished 3")
    assert main([str(base), "--multi-exp"]) == 0


def test_test_logs_of_base_to_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "base2new" / "test_new" / "dtd" / "shots_16" / "CoCoOp" / "vit_b16"
    write_log(base / "seed1", evaluation(55))
    (base / "seed2").mkdir()
    [row] = entries(capsys, tmp_path, "--test-log")
    assert [row[key] for key in ("dataset", "subset", "trainer", "config", "shots")] == [
        "dtd",
        "new",
        "CoCoOp",
        "vit_b16",
        16,
    ]
    assert row["accuracy"] == 55.0 and row["problems"] == "unfinished 2"
    [row] = entries(capsys, tmp_path)
    assert row["accuracy"] is None and row["problems"] == "unfinished 1, 2"


def test_the_newest_finished_log_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "dtd" / "CoOp" / "rn50_1shots" / "seed1"
    write_log(folder, "epoch [2/50]\n")
    [row] = entries(capsys, tmp_path)
    assert row["accuracy"] is None
    write_log(folder, "Finish training\n" + evaluation(60), "log.txt-2024-01-02-10-00-00")
    write_log(folder, "Finish training\n" + evaluation(61), "log.txt-2024-01-02-11-00-00")
    write_log(folder, "epoch [49/50]\n", "log.txt-2024-01-03-00-00-00")
    [row] = entries(capsys, tmp_path)
    assert row["accuracy"] == 61.0


def test_a_log_says_what_its_folder_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = (
        "** Arguments **\nconfig_file: configs/trainers/CoOp/rn50.yaml\n"
        "dataset_config_file: configs/datasets/dtd.yaml\nseed: 7\ntrainer: CoOp\n"
        "** Config **\nDATASET:\n  NAME: DescribableTextures\n  NUM_SHOTS: 8\n  SUBSAMPLE_CLASSES: base\n"
    )
    write_log(tmp_path / "mine", header + "Finish training\n" + evaluation(66))
    [row] = entries(capsys, tmp_path)
    assert [row[key] for key in ("dataset", "subset", "trainer", "config", "shots")] == [
        "dtd",
        "base",
        "CoOp",
        "rn50",
        8,
    ]
    assert row["accuracy"] == 66.0 and row["problems"] == ""


def test_a_log_that_says_nothing_is_named_by_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "some" / "run", "Finish training\n* accuracy: 50.0%\n")
    write_result(tmp_path / "other", 3)
    rows = {row["dataset"]: row for row in entries(capsys, tmp_path)}
    row = rows["some/run"]
    assert [row[key] for key in ("trainer", "config", "shots", "accuracy")] == ["?", "?", -1, 50.0]
    assert row["problems"] == "" and row["seeds_wanted"] == 1  # it has no seed, so none can be missing
    [row] = entries(capsys, tmp_path / "some", "--keyword", "macro_f1")
    assert row["macro_f1"] is None and row["problems"] == "no macro_f1 in run" and row["seeds_finished"] == 1
    assert main([str(tmp_path / "some")]) == 0
    assert "| ?" in capsys.readouterr().out


# ------------------------------------------------------------------ spread and plot
def test_spread_worked_by_hand() -> None:
    assert spread([5.0], ci95=False) is None and spread([], ci95=True) is None
    assert spread([1.0, 3.0], ci95=False) == pytest.approx(math.sqrt(2))
    assert spread([1.0, 3.0], ci95=True) == pytest.approx(12.706205)  # one degree of freedom
    assert spread([0.0] * 5 + [2.0] * 5, ci95=True) == pytest.approx(2.262157 * statistics.stdev([0, 2] * 5) / 10**0.5)


@given(values=st.lists(st.floats(0, 100), min_size=2, max_size=12), shift=st.floats(-50, 50))
def test_spread_does_not_depend_on_the_mean(values: list[float], shift: float) -> None:
    for ci95 in (False, True):
        moved = spread([value + shift for value in values], ci95=ci95)
        assert moved == pytest.approx(spread(values, ci95=ci95), abs=1e-6)
        assert moved is not None and moved >= 0


@pytest.mark.parametrize("keyword", ["accuracy", "macro_f1", "error"])
def test_the_plot_is_drawn(keyword: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shots in (1, 4, 16):
        for seed in (1, 2):
            write_result(tmp_path, seed, num_shots=shots, accuracy=70.0 + shots + seed)
            write_result(tmp_path, seed, num_shots=shots, dataset="shapes", trainer="RAFT", subsample_classes="new")
    path = tmp_path / "plot.png"
    assert main([str(tmp_path), "--plot", str(path), "--keyword", keyword]) == 0
    assert f"Plot saved to {path}" in capsys.readouterr().err
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width > image.height > 300
        assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10


def test_what_cannot_be_plotted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, 1, num_shots=0, trainer="ZeroshotCLIP")
    assert main([str(tmp_path), "--plot", str(tmp_path / "plot.png")]) == 1
    assert "nothing to plot: no finished run with one shot or more" in capsys.readouterr().err
    write_result(tmp_path, 1)
    assert main([str(tmp_path), "--plot", str(tmp_path / "plot.nonsense")]) == 1
    assert "nonsense" in capsys.readouterr().err
