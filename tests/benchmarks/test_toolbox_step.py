import re

import pytest
import torch
from torch import nn

from benchmarks import toolbox_step


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    toolbox_step.main(["--steps", "3", "--rounds", "3"])
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first == f"equal weights after each of 3 epochs of 3 steps; torch {torch.__version__}"
    assert head.split()[-4:] == ["min", "median", "max", "overhead"]
    names, figures = zip(*(re.split(r"  +", row, maxsplit=1) for row in rows), strict=True)
    assert names == ("bare torch", "toolbox", "toolbox, event files")
    for least, median, most, _ in ([float(figure) for figure in row.split()] for row in figures):
        assert 0 < least <= median <= most


def test_both_loops_are_the_same_work() -> None:
    batches = toolbox_step.make_batches(4)
    trainer, (epoch, model) = toolbox_step.make_trainer(batches, 5), toolbox_step.bare_epochs(batches, 5)
    before = trainer.model.weight.clone()
    for _ in range(5):
        trainer.run_epoch()
        epoch()
        toolbox_step.check_equal({"ours": trainer.model, "theirs": model})
    assert not torch.equal(before, trainer.model.weight)


def test_other_weights_are_noticed() -> None:
    with pytest.raises(RuntimeError, match="The loop 'b' did not train the weights"):
        toolbox_step.check_equal({"a": nn.Linear(1, 1), "b": nn.Linear(1, 1)})


def test_counts_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        toolbox_step.main(["--rounds", "1"])
    assert "--rounds at least 2" in capsys.readouterr().err
