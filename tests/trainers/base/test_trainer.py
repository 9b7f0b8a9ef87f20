"""The evaluation."""

from collections.abc import Callable
from typing import Any

Train = Callable[..., Any]


def test_the_last_evaluation_is_what_outcome_keeps(build: Train) -> None:
    trainer = build("ZeroshotCLIP")
    trainer.test("val")
    assert trainer.outcome["split"] == "val"
    accuracy = trainer.test()
    assert trainer.outcome["split"] == "test"
    assert (
        trainer.outcome["branches"] == {"zero_shot": accuracy} == {"zero_shot": trainer.outcome["zero_shot_accuracy"]}
    )


def test_an_unknown_split(train_main: Train) -> None:
    assert "train" in train_main("ZeroshotCLIP", "TEST.SPLIT", "train").error
