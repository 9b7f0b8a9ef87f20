import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence

import pytest

from experiments.runs.arguments import build_parser
from experiments.runs.config import RunPlan, build_plan
from experiments.sweep.carrying_out import STOPPING, carry_out, still_to_run, stoppable
from experiments.sweep.cell import Cell, Outcome
from tests.experiments.sweep.conftest import MakeCell


class Elsewhere:
    """Another engine: runs nothing, writes the results of what succeeds, and fails one trainer."""

    def __init__(self) -> None:
        self.calls: list[list[Cell]] = []
        self.closed = 0

    def run(self, cells: Sequence[Cell]) -> Iterator[Outcome]:
        self.calls.append(list(cells))
        try:
            for cell in reversed(cells):
                cell.folder.mkdir(parents=True)
                if cell.trainer != "RAFT":
                    (cell.folder / "result.json").write_text(json.dumps({"status": "finished", "accuracy": 1.0}))
                yield Outcome(cell, 1.0, "lost on its way" if cell.trainer == "RAFT" else None)
        finally:
            self.closed += 1


def plans(*cells: Cell) -> dict[Cell, RunPlan]:
    words = ["--trainer", "AMU", "--dataset-config-file", "digits"]
    return dict.fromkeys(cells, build_plan(build_parser().parse_args(words)))


def test_models_come_before_what_evaluates_them(cell: MakeCell) -> None:
    good, bad = cell(), cell("RAFT")
    after_good, after_bad = cell(dataset="a", model=good.folder), cell(dataset="b", model=bad.folder)
    engine, noted = Elsewhere(), list[Outcome]()
    outcomes = carry_out(plans(after_good, good, after_bad, bad), engine, noted.append)
    assert engine.calls == [[good, bad], [after_good]] and engine.closed == 2
    assert outcomes == noted and {outcome.cell: outcome.error for outcome in outcomes} == {
        good: None,
        bad: "lost on its way",
        after_good: None,
        after_bad: f"no trained model in {bad.folder}",
    }
    failures = {c: json.loads((c.folder / "failure.json").read_text())["error"] for c in (bad, after_bad)}
    assert failures == {bad: "lost on its way", after_bad: f"no trained model in {bad.folder}"}
    assert not (good.folder / "failure.json").exists()


def test_stopping_closes_the_engine(cell: MakeCell) -> None:
    def stop(_: Outcome) -> None:
        raise KeyboardInterrupt

    engine = Elsewhere()
    with pytest.raises(KeyboardInterrupt):
        carry_out(plans(cell(), cell("RAFT")), engine, stop)
    assert engine.closed == 1 and len(engine.calls) == 1
    shutil.rmtree(cell().folder, ignore_errors=True)


def test_an_evaluation_of_a_model_that_is_trained_anew_is_to_run(cell: MakeCell) -> None:
    model, other = cell(), cell(seed=2)
    of_model, of_other = cell(dataset="a", model=model.folder), cell(dataset="a", seed=2, model=other.folder)
    cells = [model, other, of_model, of_other]
    assert still_to_run(cells, {other, of_model, of_other}) == [model, of_model]
    assert still_to_run(cells, set(cells)) == []


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_stops_and_the_next_ones_disturb_nothing(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in STOPPING]
    with stoppable():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        for each in STOPPING:
            os.kill(os.getpid(), each)
    assert [signal.getsignal(each) for each in STOPPING] == before
