import pytest

from experiments.sweep.cell import Outcome
from experiments.sweep.estimate import Durations
from experiments.sweep.progress import Progress
from tests.experiments.sweep.conftest import MakeCell


def test_lines_where_there_is_no_terminal(cell: MakeCell, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [cell(seed=seed) for seed in (1, 2, 3, 4)]
    progress = Progress(cells, Durations(), 1, bar=False)
    progress.note(Outcome(cells[0], 3.0, "no such thing"))
    progress.note(Outcome(cells[2], 10.0))
    progress.note(Outcome(cells[1], 20.0))
    progress.note(Outcome(cells[3], 20.0))
    progress.close()
    assert capsys.readouterr().out.splitlines() == [
        "[1/4] AMU on digits, tiny 1 shots, seed 1: failed: no such thing, left: unknown",
        "[2/4] AMU on digits, tiny 1 shots, seed 3: 10 s, left: 20 s",
        "[3/4] AMU on digits, tiny 1 shots, seed 2: 20 s, left: 15 s",
        "[4/4] AMU on digits, tiny 1 shots, seed 4: 20 s",
    ]


def test_a_bar_on_a_terminal(cell: MakeCell, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [cell(seed=seed) for seed in (1, 2)]
    progress = Progress(cells, Durations(), 1, bar=True)
    progress.note(Outcome(cells[0], 3.0))
    progress.note(Outcome(cells[1], 3.0, "no such thing"))
    progress.close()
    printed = capsys.readouterr()
    assert "0/2 runs" in printed.err and "left: unknown" in printed.err and "1/2 runs" in printed.err
    assert "left: 3 s" in printed.err and "100%" in printed.err
    assert "failed: AMU on digits, tiny 1 shots, seed 2: no such thing" in printed.err and printed.out == ""
