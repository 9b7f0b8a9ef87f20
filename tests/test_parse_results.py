import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from parse_results import main
from tests.experiments.results.run_trees import (
    ORACLE,
    epochs,
    evaluation,
    finished_log,
    header,
    write_halves,
    write_log,
    write_result,
)

REPOSITORY = Path(__file__).resolve().parent.parent


def entries(capsys: pytest.CaptureFixture[str], *args: object, kind: str = "cell") -> list[dict[str, Any]]:
    assert main([*map(str, args), "--format", "json"]) == 0
    return [entry for entry in json.loads(capsys.readouterr().out) if entry["kind"] == kind]


def test_mean_spread_and_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, accuracy in ((1, 90.0), (2, 91.0), (3, 92.0)):
        write_result(tmp_path, seed, accuracy=accuracy, zero_shot_accuracy=60.0 + seed)
    [cell] = entries(capsys, tmp_path)
    assert {key: cell[key] for key in ("dataset", "trainer", "config", "shots", "subset", "backbone")} == {
        "dataset": "digits",
        "trainer": "AMU",
        "config": "tiny",
        "shots": 16,
        "subset": "all",
        "backbone": "tiny",
    }
    assert (cell["accuracy"], cell["accuracy_std"], cell["macro_f1"], cell["error"]) == (91.0, 1.0, 89.0, 9.0)
    assert (cell["zero_shot_accuracy"], cell["seeds_finished"], cell["seeds_wanted"]) == (62.0, 3, 3)
    assert cell["problems"] == "" and cell["oracle"] is False
    for flags in (["--ci95"], ["--spread", "ci95"]):
        assert entries(capsys, tmp_path, *flags)[0]["accuracy_ci95"] == pytest.approx(4.302653 / 3**0.5)
    assert entries(capsys, tmp_path, "--keyword", "error")[0]["error_std"] == 1.0
    assert entries(capsys, tmp_path, "--seeds", 1, 2, 3, 4)[0]["problems"] == "missing 4"


def test_the_table_shows_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, 1)
    write_result(tmp_path, 2, num_shots=1, protocol=ORACLE)
    write_log(tmp_path / "digits" / "AMU" / "tiny_4shots" / "seed1", json.dumps({"error": "no space"}), "failure.json")
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| digits     | AMU       | tiny     | tiny       | 90.00† (1/2) | - (0/2)   | 90.00 (1/2) |" in out
    for note in (
        "- missing: digits AMU tiny 16 shots: seed 2",
        "- missing: digits AMU† tiny 1 shot: seed 1",
        "- failed: digits AMU tiny 4 shots seed 1: no space (",
        "- † chosen with the help of test labels",
    ):
        assert note in out


@pytest.mark.parametrize("style", ["plain", "latex", "csv", "github"])
def test_formats(style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_halves(tmp_path, 1, 80.25, 60.0, protocol=ORACLE)
    assert main([str(tmp_path), "--format", style]) == 0
    out = capsys.readouterr().out
    assert "80.25" in out and "68.66" in out
    if style == "csv":
        rows = list(csv.DictReader(io.StringIO(out)))
        assert [row["kind"] for row in rows] == ["cell", "cell", "base_to_new"]
        assert {row["oracle"] for row in rows} == {"True"} and rows[0]["accuracy_std"] == ""
    else:
        assert "digits (new)" in out and (r"80.25\dag{}" if style == "latex" else "80.25†") in out


def test_the_long_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, 1)
    assert main([str(tmp_path), "--long"]) == 0
    assert "| digits     | AMU       | tiny     | 16      | 90.00            | 89.00 " in capsys.readouterr().out


def test_compare_and_paired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for trainer, accuracy in (("AMU", 70.0), ("RAFT", 71.0)):
        write_result(tmp_path, 1, dataset="dtd", trainer=trainer, accuracy=accuracy, backbone="RN50", config="rn50")
    assert main([str(tmp_path), "--compare", "--paired", "AMU", "RAFT"]) == 0
    out = capsys.readouterr().out
    assert "### AMU minus RAFT, paired by seed" in out and "-1.00" in out
    assert "### Beside published figures" in out and "70.80†" in out and "RAFT: nothing is published" in out
    [entry] = entries(capsys, tmp_path, "--compare", kind="comparison")
    assert (entry["published_accuracy"], entry["published_method"]) == (70.8, "AMU-Tuning")
    [entry] = entries(capsys, tmp_path, "--paired", "RAFT", "AMU", kind="paired")
    assert entry["accuracy_difference"] == 1.0


def test_average_present(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, dataset="digits", accuracy=80.0)
    write_result(tmp_path, dataset="shapes", accuracy=60.0)
    assert entries(capsys, tmp_path, kind="average") == []
    [average] = entries(capsys, tmp_path, "--average", "present", kind="average")
    assert (average["dataset"], average["accuracy"]) == ("average of those present", 70.0)


def test_coop_style_logs_of_every_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tmp_path / "output" / "dtd" / "CoOp" / "rn50_16shots" / "nctx16_cscFalse_ctpend"
    write_log(base / "seed1", finished_log(60))
    write_log(base / "seed2", header(2) + epochs(20))  # cut off, then resumed
    write_log(base / "seed2", finished_log(62, seed=2), "log.txt-2024-01-02-10-00-00")
    write_log(base / "seed3", header(3) + epochs(3) + "Traceback (most recent call last):\nRuntimeError: no memory\n")
    write_log(base / "seed4", "")
    (base / "seed5").mkdir()
    write_log(base / "seed6", header(6, eval_only=True) + evaluation(58) + evaluation(64))
    for path in (base, base.parent, tmp_path):
        [cell] = entries(capsys, path)
        assert [cell[key] for key in ("dataset", "trainer", "config", "shots", "backbone")] == [
            "dtd",
            "CoOp",
            "rn50/nctx16_cscFalse_ctpend",
            16,
            "RN50",
        ]
        assert (cell["accuracy"], cell["macro_f1"], cell["seeds"]) == (62.0, 61.0, [1, 2, 6])
        assert cell["problems"] == "failed 3; unfinished 4, 5"
        assert cell["errors"][0] == "3: failed: RuntimeError: no memory"
    assert main([str(base), "--multi-exp"]) == 0
    assert "seed6: 2 evaluations that differ; the last one counts" in capsys.readouterr().out


def test_test_only_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(tmp_path / "dtd" / "CoOp" / "rn50_16shots" / "seed1", evaluation(55))
    assert entries(capsys, tmp_path, "--test-log")[0]["accuracy"] == 55.0
    assert entries(capsys, tmp_path)[0]["accuracy"] is None


def test_the_plot_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shots in (1, 4):
        write_result(tmp_path, num_shots=shots, accuracy=70.0 + shots)
    path = tmp_path / "plot.png"
    assert main([str(tmp_path), "--plot", str(path), "--keyword", "macro_f1"]) == 0
    assert f"Plot saved to {path}" in capsys.readouterr().err
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width > 300


def test_the_page_gets_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import experiments.results.report

    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        experiments.results.report, "write_report", lambda runs, path, **rest: asked.update(rest, runs=runs, path=path)
    )
    write_result(tmp_path, trainer="AMU")
    write_result(tmp_path, trainer="RAFT")
    page = tmp_path / "report.html"
    assert main([str(tmp_path), "--html", str(page), "--ci95", "--paired", "AMU", "RAFT", "--seeds", "1"]) == 0
    assert len(asked.pop("runs")) == 2
    expected = {
        "path": page,
        "keyword": "accuracy",
        "spread": "ci95",
        "seeds": [1],
        "average": "eleven",
        "references": None,
        "pair": ("AMU", "RAFT"),
    }
    assert {name: asked[name] for name in expected} == expected


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([tmp_path / "empty"], "no runs below"),
        ([tmp_path / "nowhere"], "nowhere is no folder"),
        ([tmp_path / "runs", "--paired", "AMU", "CoOp"], "no finished runs of trainer CoOp"),
        ([tmp_path / "runs", "--compare", tmp_path / "none.json"], "no file of published figures"),
        ([tmp_path / "runs", "--compare", "--keyword", "error"], "not error"),
    ):
        assert main([*map(str, arguments)]) == 1
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err


def test_files_that_cannot_be_written_are_refused_before_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(tmp_path / "runs")
    (tmp_path / "folder.png").mkdir()
    page = tmp_path / "page.html"
    for arguments, message in (
        (["--html", tmp_path / "runs"], f"--html {tmp_path / 'runs'} is a folder"),
        (["--plot", tmp_path / "folder.png"], "folder.png is a folder"),
        (["--html", tmp_path / "nowhere" / "x.html"], f"there is no folder {tmp_path / 'nowhere'}; make it first"),
        (["--plot", tmp_path / "nowhere" / "x.png"], f"there is no folder {tmp_path / 'nowhere'}; make it first"),
        (["--plot", tmp_path / "x.gif"], "must end in .png, .svg, .pdf"),
        (["--wrong-images", "5"], "--wrong-images 5 is for the page: give --html FILE as well"),
        (["--wrong-images", "-1", "--html", page], "--wrong-images takes 0 to 200, not -1"),
        (["--wrong-images", "201", "--html", page], "--wrong-images takes 0 to 200, not 201"),
    ):
        assert main([str(tmp_path / "runs"), *map(str, arguments)]) == 1, arguments
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and message in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "runs"]


def test_folders_that_take_no_files_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_result(tmp_path)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    assert main([str(tmp_path), "--html", str(tmp_path / "page.html")]) == 1
    assert f"nothing can be written into folder {tmp_path}\n" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--long"], ["--seeds", "1", "2", "3"], ["--format", "csv"]])
def test_zero_shot_clip_misses_no_seeds(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2, 3):
        write_result(tmp_path, seed)
    write_result(tmp_path, 1, trainer="ZeroshotCLIP", num_shots=0, accuracy=65.0)
    assert main([str(tmp_path), *flags, "--paired", "AMU", "ZeroshotCLIP"]) == 0
    out = capsys.readouterr().out
    assert "ZeroshotCLIP" in out and "missing:" not in out and "missing 2" not in out and "(1/3)" not in out
    assert "25.00" in out or "25.0" in out
    [cell] = [entry for entry in entries(capsys, tmp_path, *flags[:0]) if entry["trainer"] == "ZeroshotCLIP"]
    assert (cell["seeds_finished"], cell["seeds_wanted"], cell["problems"]) == (1, 1, "")


@pytest.mark.parametrize("style", ["github", "plain", "latex", "csv", "json"])
def test_an_error_of_two_lines_is_one_line(style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failure = json.dumps({"error": "RuntimeError: first\nsecond <b> | third"})
    write_log(tmp_path / "digits" / "AMU" / "tiny_4shots" / "seed1", failure, "failure.json")
    assert main([str(tmp_path), "--format", style]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "first" in line]
    assert ("first second &lt;b> | third" if style == "github" else "first second <b> | third") in line
    assert style != "latex" or line.startswith("% failed: ")


def test_the_tables_need_no_torch(tmp_path: Path) -> None:
    write_result(tmp_path, 1)
    write_result(tmp_path, 2)
    code = f"import sys, parse_results; parse_results.main([{str(tmp_path)!r}]); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "90.00 ± 0.00 (2)" in done.stdout
