import json
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.runs import record
from experiments.runs.record import EvaluationLog, git_commit, peak_memory_mb, set_aside, versions


class StubEvaluator:
    def __init__(self) -> None:
        self.seen: list[int] = []
        self.resets = 0

    def reset(self) -> None:
        self.seen, self.resets = [], self.resets + 1

    def process(self, output: Any, labels: Tensor) -> None:
        self.seen.append(len(labels))

    def evaluate(self) -> "OrderedDict[str, Any]":
        return OrderedDict(accuracy=torch.tensor(50.0), macro_f1=40)


LOGITS = torch.tensor([[3.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 5.0], [9.0, 1.0, 5.0]])


def test_the_log_listens_and_lets_everything_through() -> None:
    evaluator = StubEvaluator()
    log = EvaluationLog(evaluator)
    evaluator.reset()
    evaluator.process(LOGITS, torch.tensor([0, 1, 2, 2]))
    evaluator.process(LOGITS[:1], torch.tensor([2]))
    assert evaluator.evaluate()["macro_f1"] == 40
    assert (evaluator.seen, evaluator.resets) == ([4, 1], 1)
    assert log.figures({0: "a", 1: "b", 2: "c"}) == {
        "total": 5,
        "correct": 3,
        "accuracy": 60.0,
        "macro_f1": 40.0,
        "per_class_accuracy": {"a": 100.0, "b": 100.0, "c": pytest.approx(100 / 3)},
    }
    json.dumps(log.figures({}))


def test_only_the_last_evaluation_counts() -> None:
    evaluator = StubEvaluator()
    log = EvaluationLog(evaluator)
    for labels in (torch.tensor([0, 1, 2, 2]), torch.tensor([1, 1, 1, 1])):
        evaluator.reset()
        evaluator.process(LOGITS, labels)
    assert log.figures({1: "b"}) == {
        "total": 4,
        "correct": 1,
        "accuracy": 25.0,
        "macro_f1": None,
        "per_class_accuracy": {"b": 25.0},
    }


def test_logits_may_come_in_a_tuple_and_classes_without_a_name() -> None:
    evaluator = StubEvaluator()
    log = EvaluationLog(evaluator)
    evaluator.process((LOGITS, "features"), torch.tensor([0, 1, 0, 0]))
    assert log.figures({0: "a"})["per_class_accuracy"] == {"a": pytest.approx(200 / 3), "1": 100.0}


def test_without_an_evaluation_there_are_no_figures() -> None:
    empty: dict[str, Any] = {"total": 0, "correct": 0, "accuracy": None, "macro_f1": None, "per_class_accuracy": {}}
    assert EvaluationLog(StubEvaluator()).figures({0: "a"}) == empty


def test_an_earlier_result_is_set_aside(tmp_path: Path) -> None:
    set_aside(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for content in ("first", "second"):
        (tmp_path / "result.json").write_text(content)
        set_aside(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["result.previous.json"]
        assert (tmp_path / "result.previous.json").read_text() == content


def test_versions_name_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions()["torch"].startswith(torch.__version__.split("+")[0])
    monkeypatch.setattr(record, "_PACKAGES", ("torch", "no-such-package"))
    assert versions()["no-such-package"] == "not installed as a package"


def test_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "REPOSITORY", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_commit() is None

    def git(*words: str) -> str:
        identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    assert git_commit() is None  # nothing is committed yet
    (tmp_path / "file").write_text("a")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("x")
    assert git_commit() == head and len(head) == 40
    (tmp_path / "file").write_text("b")
    assert git_commit() == f"{head}-dirty"
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None  # git is not installed


def test_memory_is_in_mebibytes() -> None:
    assert 50 < peak_memory_mb() < 200_000
