import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts import view_study
from scripts.view_study import Run


def table(accuracies: dict[str, Sequence[float]], dataset: str = "digits") -> dict[Run, float]:
    """One trainer at one shot: accuracy of each seed by views."""
    return {
        Run("AMU", dataset, views, 1, seed): value
        for views, row in accuracies.items()
        for seed, value in enumerate(row)
    }


def test_enough_is_one_standard_error_of_online() -> None:
    # Online: mean 82, standard deviation 2, so the standard error of three seeds is 2 / sqrt(3) = 1.1547.
    scores = table({"online": (80, 82, 84), "1": (79, 81, 82.4), "2": (79, 81, 82.6), "4": (90, 90, 90)})
    online, one, two, four = view_study.compare(scores)
    assert [online.mean, online.error] == pytest.approx([82.0, 2 / 3**0.5])
    assert (one.enough, two.enough, four.enough) == (False, True, True)
    assert (four.mean, four.error) == (90.0, 0.0)
    assert view_study.smallest_enough([online, one, two, four]) == "2"


def test_a_seed_counts_as_its_mean_over_the_shots() -> None:
    scores = {
        Run("RAFT", "shapes", "online", shots, seed): 10.0 * shots + seed for shots in (16, 1, 4) for seed in (11, 13)
    }
    (line,) = view_study.compare(scores)
    assert line.by_shots == {1: 22.0, 4: 52.0, 16: 172.0}
    assert [line.mean, line.error] == pytest.approx([82.0, 1.0])


def test_k_must_be_enough_everywhere() -> None:
    here = table({"online": (80, 82), "8": (80, 82), "16": (80, 82)})
    there = table({"online": (80, 82), "8": (70, 72), "16": (80, 82)}, dataset="shapes")
    lines = view_study.compare({**here, **there})
    assert view_study.smallest_enough(lines) == "16"
    assert view_study.smallest_enough([line for line in lines if line.views != "16"]) is None


def test_pairs_are_of_one_data_set_and_seed() -> None:
    # Against online: 0 and -4 on one data set, -2 and -2 on the other; standard deviation 1.633, of four 0.816.
    here = table({"online": (80, 90), "8": (80, 86), "16": (81, 91)})
    there = table({"online": (50, 60), "8": (48, 58), "16": (50, 59)}, dataset="shapes")
    eight, sixteen = view_study.compare_pairs({**here, **there})
    assert [eight.mean, eight.error] == pytest.approx([-2.0, 1.632993 / 2])
    assert (eight.enough, sixteen.enough) == (False, True)
    assert view_study.smallest_enough([eight, sixteen]) == "16"


def test_main_prints_the_table_and_writes_every_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def score_all(runs: Sequence[Run], *, jobs: int) -> dict[Run, float]:
        return {run: 80.0 + run.seed - (run.views == "1") * 10 for run in runs}

    monkeypatch.setattr(view_study, "score_all", score_all)
    path = tmp_path / "study.json"
    assert view_study.main(["--seeds", "1", "2", "--views", "1", "2", "--shots", "4", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "| RAFT     | shapes     | 1       | 71.5      | 71.50 ± 0.50   | no       |" in out
    assert "smallest K that is enough by data set: 2\n" in out
    assert "| AMU      | 1       | -10.00 ± 0.00            | no       |" in out
    assert out.endswith("smallest K that is enough paired: 2\n")
    report = json.loads(path.read_text())
    assert report["smallest_enough"] == {"by data set": "2", "paired": "2"}
    assert len(report["runs"]) == 2 * 2 * 3 * 2
    assert report["runs"][0] == {
        **{"trainer": "AMU", "dataset": "digits", "views": "online"},
        **{"shots": 4, "seed": 1, "accuracy": 81.0},
    }


def test_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def score_all(runs: Sequence[Run], *, jobs: int) -> dict[Run, float]:
        raise ValueError("no such data set")

    monkeypatch.setattr(view_study, "score_all", score_all)
    assert view_study.main([]) == 1
    assert capsys.readouterr().err == "error: no such data set\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [(["--seeds", "11", "11"], "two different seeds or more"), (["--jobs", "0"], "--jobs must be at least 1, got 0")],
)
def test_bad_numbers_are_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        view_study.main(argv)
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_runs_in_processes_give_what_one_gives() -> None:
    runs = [Run("RAFT", "digits", "1", 1, seed) for seed in (11, 12)]
    assert view_study.score_all(runs, jobs=1) == view_study.score_all(runs, jobs=2)
