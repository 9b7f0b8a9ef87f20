import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks import harness


def test_tasks_take_turns_and_the_warm_up_is_not_counted() -> None:
    calls: list[str] = []
    seconds = harness.alternate(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        3,
        warm_up=2,
        after_round=lambda: calls.append("|"),
    )
    assert "".join(calls) == 5 * "ab|"
    assert list(seconds) == ["a", "b"] and all(len(figures) == 3 for figures in seconds.values())
    assert all(figure >= 0 for figures in seconds.values() for figure in figures)


def test_a_task_is_timed_and_what_comes_after_the_round_is_not() -> None:
    seconds = harness.alternate(
        {"slow": lambda: time.sleep(0.02), "fast": lambda: None}, 1, warm_up=0, after_round=lambda: time.sleep(0.2)
    )
    assert 0.02 <= seconds["slow"][0] < 0.2 and seconds["fast"][0] < 0.2


def test_a_cuda_device_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: calls.append("wait"))
    harness.alternate({"a": lambda: calls.append("a")}, 1, warm_up=0, device="cuda")
    assert calls == ["wait", "a", "wait"]  # before, so that nothing of others counts, and after


def test_spread_and_ratios() -> None:
    assert harness.spread([3.0, 1.0, 2.0, 10.0]) == (1.0, 2.5, 10.0)
    assert harness.ratios([8.0, 9.0, 2.0], [2.0, 3.0, 1.0]) == (2.0, 3.0, 4.0)  # round by round


def test_agreement_is_the_largest_relative_norm() -> None:
    expected = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([100.0])}
    found = {"a": torch.tensor([3.0, 4.5]), "b": torch.tensor([101.0])}
    assert harness.check_agreement(expected, found, tolerance=0.2) == pytest.approx(0.1)
    with pytest.raises(RuntimeError, match=r"The two sides differ in a by 0\.1 of its norm; 0\.05 is allowed"):
        harness.check_agreement(expected, found, tolerance=0.05)


def test_what_is_zero_in_theory_has_another_scale() -> None:
    expected, found = {"zero": torch.zeros(2)}, {"zero": torch.tensor([0.0, 1e-6])}
    with pytest.raises(RuntimeError, match="differ in zero by inf"):
        harness.check_agreement(expected, found, tolerance=1e-3)
    assert harness.check_agreement(expected, found, tolerance=1e-3, scales={"zero": 0.01}) == pytest.approx(1e-4)


def test_nan_and_missing_tensors_do_not_agree() -> None:
    one = {"a": torch.ones(2)}
    with pytest.raises(RuntimeError, match="differ in a by nan"):
        harness.check_agreement(one, {"a": torch.tensor([1.0, float("nan")])}, tolerance=1.0)
    with pytest.raises(RuntimeError, match="Only one side computes b"):
        harness.check_agreement(one, {**one, "b": torch.ones(1)}, tolerance=1.0)


def test_the_report_names_the_machine(tmp_path: Path) -> None:
    machine = harness.describe_machine()
    assert machine["threads"] == torch.get_num_threads() and machine["torch"] == torch.__version__
    assert machine["processor"] and machine["accelerator"] is None
    harness.write_report(tmp_path / "out" / "report.json", "some", machine, [{"ratio": 2.0}])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report == {"benchmark": "some", "machine": machine, "results": [{"ratio": 2.0}]}


def test_a_machine_without_a_list_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert harness.describe_machine()["processor"]
