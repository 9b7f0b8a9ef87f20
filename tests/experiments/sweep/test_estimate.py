import json
from pathlib import Path

import pytest

from experiments.sweep.cell import Cell
from experiments.sweep.estimate import Durations, readable_duration
from tests.experiments.sweep.conftest import MakeCell


def write_result(cell: Cell, seconds: object, **changes: object) -> None:
    cell.folder.mkdir(parents=True)
    result = {"status": "finished", "accuracy": 50.0, "num_shots": cell.num_shots, "seconds": {"total": seconds}}
    (cell.folder / "result.json").write_text(json.dumps(result | changes))


def test_the_mean_of_runs_at_the_same_shots_else_at_any(cell: MakeCell) -> None:
    durations = Durations()
    assert durations.seconds(cell()) is None and durations.total([cell()], 1) is None
    durations.add(cell(shots=1), 10.0)
    durations.add(cell(shots=1, seed=2), 20.0)
    durations.add(cell(shots=16), 90.0)
    assert durations.seconds(cell(shots=1, seed=3)) == 15.0
    assert durations.seconds(cell(shots=16, seed=3)) == 90.0
    assert durations.seconds(cell(shots=4)) == pytest.approx(40.0)
    assert durations.seconds(cell("RAFT")) is None
    assert durations.seconds(cell(dataset="shapes")) is None
    assert durations.seconds(cell(model=Path("model"))) is None  # an evaluation takes another time


def test_the_sum_over_processes_and_never_less_than_the_longest(cell: MakeCell) -> None:
    durations = Durations()
    durations.add(cell(shots=1), 10.0)
    durations.add(cell(shots=16), 90.0)
    left = [cell(shots=1, seed=seed) for seed in (2, 3, 4)]
    assert durations.total(left, 1) == 30.0
    assert durations.total(left, 2) == 15.0
    assert durations.total([*left, cell(shots=16, seed=2)], 4) == 90.0
    assert durations.total(left[:1], 8) == 10.0
    assert durations.total([], 1) == 0.0


def test_what_is_not_known_is_taken_for_average(cell: MakeCell) -> None:
    durations = Durations()
    durations.add(cell(shots=1), 10.0)
    assert durations.total([cell(seed=2), cell("RAFT")], 1) == 20.0
    assert durations.total([cell("RAFT"), cell("RAFT", seed=2)], 1) == 20.0  # of all that ran


def test_finished_runs_of_other_shots_and_seeds_are_found(cell: MakeCell) -> None:
    write_result(cell(shots=2, seed=9), 12.0)
    write_result(cell(shots=4), 20.0, status="running")
    write_result(cell("RAFT", shots=4), "long")
    durations = Durations()
    durations.read([cell(shots=1), cell(shots=2, seed=9), cell("RAFT")])
    assert durations.seconds(cell(shots=1)) == 12.0
    assert durations.seconds(cell("RAFT")) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0.2, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5969, "99 min"),
        (5970, "1.7 h"),
        (72000, "20.0 h"),
    ],
)
def test_durations_for_people(seconds: float | None, text: str) -> None:
    assert readable_duration(seconds) == text
