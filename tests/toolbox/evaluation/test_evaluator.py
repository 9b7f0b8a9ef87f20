from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from dassl.evaluation import EvaluatorBase, build_evaluator
from dassl.evaluation.evaluator import _macro_f1

NAMES = {0: "a_b", 1: "c", 2: "d e", 3: "f"}


def fill(evaluator: Any) -> Any:
    torch.manual_seed(2)
    evaluator.reset()
    for _ in range(3):
        evaluator.process(torch.randn(7, 4), torch.randint(0, 3, (7,)))
    return evaluator


@pytest.mark.parametrize(("record", "changes"), [("plain", {}), ("perclass", {"TEST__PER_CLASS_RESULT": True})])
def test_results_and_text_equal_the_record(
    record: str,
    changes: Any,
    make_cfg: Callable[..., Any],
    recorded: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluator = fill(build_evaluator(make_cfg(**changes), lab2cname=NAMES))
    results = {key: round(value, 6) for key, value in evaluator.evaluate().items()}
    assert [results, capsys.readouterr().out] == recorded["items"][f"evaluator/{record}"]


def test_large_numbers(make_cfg: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    evaluator = build_evaluator(make_cfg(VERBOSE=True), lab2cname=NAMES)
    assert capsys.readouterr().out == "Loading evaluator: Classification\n"
    evaluator.process(torch.eye(2).repeat(1200, 1), torch.tensor([0, 1]).repeat(1200))
    assert next(iter(evaluator.evaluate())) == "accuracy"
    assert capsys.readouterr().out == recorded["items"]["evaluator/thousands"]


def test_reset_forgets(make_cfg: Callable[..., Any]) -> None:
    evaluator = fill(build_evaluator(make_cfg(), lab2cname=NAMES))
    evaluator.reset()
    evaluator.process(torch.eye(4), torch.arange(4))
    assert evaluator.evaluate() == {"accuracy": 100.0, "error_rate": 0.0, "macro_f1": 100.0}


def test_confusion_matrix_covers_all_classes(
    tmp_path: Path, make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = make_cfg(OUTPUT_DIR=str(tmp_path / "new"), TEST__COMPUTE_CMAT=True)
    evaluator = build_evaluator(cfg, lab2cname=NAMES)
    evaluator.process(torch.eye(4)[[0, 1, 1, 2]], torch.tensor([0, 0, 1, 1]))
    evaluator.evaluate()
    assert capsys.readouterr().out.endswith(f"Confusion matrix is saved to {tmp_path}/new/cmat.pt\n")
    matrix = torch.load(tmp_path / "new" / "cmat.pt", weights_only=True)
    expected = [[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0] * 4, [0] * 4]
    assert np.asarray(matrix).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_macro_f1_equals_the_reference(pairs: list[tuple[int, int]]) -> None:
    true, pred = (np.array(column) for column in zip(*pairs, strict=True))
    reference = f1_score(true, pred, average="macro", labels=np.unique(true), zero_division=0)
    assert _macro_f1(true, pred) == pytest.approx(reference)


def test_errors(make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="nothing to evaluate"):
        build_evaluator(make_cfg(), lab2cname=NAMES).evaluate()
    with pytest.raises(ValueError, match="PER_CLASS_RESULT needs the class names"):
        build_evaluator(make_cfg(TEST__PER_CLASS_RESULT=True))
    with pytest.raises(ValueError, match=r"belong to \['Classification'\], but got \[Nope\]"):
        build_evaluator(make_cfg(TEST__EVALUATOR="Nope"))


def test_base_class_does_nothing(make_cfg: Callable[..., Any]) -> None:
    evaluator = EvaluatorBase(make_cfg())
    with pytest.raises(NotImplementedError):
        evaluator.reset()
    with pytest.raises(NotImplementedError):
        evaluator.process(torch.ones(1, 1), torch.ones(1))
    with pytest.raises(NotImplementedError):
        evaluator.evaluate()
