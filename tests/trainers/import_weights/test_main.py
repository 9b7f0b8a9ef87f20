"""From a run to the published form and back, by the commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers.export_weights.__main__ import main as export_main

Import = Any
Train = Callable[..., Any]


def test_amu_trained_exported_imported_is_the_same(
    finished: Train, train_main: Train, imported: Import, tmp_path: Path
) -> None:
    run = finished("AMU")
    assert export_main([str(run.folder), str(tmp_path / "adapter.pt")]) == 0
    assert imported(tmp_path / "adapter.pt", "AMU")[0] == 0
    weights = [
        torch.load(folder / "adapter" / name, weights_only=True)["state_dict"]["fc.weight"]
        for folder, name in ((run.folder, "model.pth.tar-4"), (imported.folder, "model.pth.tar-50"))
    ]
    assert torch.equal(*weights)
    evaluated = [
        train_main("AMU", "--eval-only", "--model-dir", str(folder)) for folder in (run.folder, imported.folder)
    ]
    assert [run.status for run in evaluated] == [0, 0], evaluated[1].err
    own, other = (run.result for run in evaluated)
    for key in ("accuracy", "branches", "per_class_accuracy", "correct"):
        assert own[key] == other[key] == run.result[key]


def test_raft_trained_exported_imported_differs_by_rounding_alone(
    finished: Train, train_main: Train, imported: Import, pooling_file: Path, tmp_path: Path
) -> None:
    run = finished("RAFT")
    assert imported(pooling_file, "RAFT", "OPTIM.MAX_EPOCH", "7")[0] == 0
    own, other = (
        torch.load(folder / "attnpool" / name, weights_only=True)["state_dict"]
        for folder, name in ((run.folder, "model.pth.tar-4"), (imported.folder, "model.pth.tar-7"))
    )
    assert own.keys() == other.keys() and any(not torch.equal(own[name], other[name]) for name in own)
    for name, value in own.items():
        assert other[name].dtype == torch.float32 and torch.equal(other[name], value.half().float())
    alpha = ["TRAINER.RAFT.ALPHA_RULE", "fixed", "TRAINER.RAFT.FUSION_ALPHA", "1.0"]
    evaluated = [
        train_main("RAFT", "--eval-only", "--model-dir", str(folder), *alpha)
        for folder in (run.folder, imported.folder)
    ]
    assert [run.status for run in evaluated] == [0, 0], evaluated[1].err
    assert evaluated[0].result["branches"] == evaluated[1].result["branches"]
    # Once rounded it is exact: exported again it is the same file content.
    assert export_main([str(imported.folder), str(tmp_path / "again.pth")]) == 0
    first, again = (torch.load(path, weights_only=True)["net"] for path in (pooling_file, tmp_path / "again.pth"))
    assert first.keys() == again.keys() and all(torch.equal(first[name], again[name]) for name in first)


def test_raft_logits_agree_within_rounding(finished: Train, build: Train, imported: Import, pooling_file: Path) -> None:
    assert imported(pooling_file, "RAFT")[0] == 0
    logits = []
    for folder, epoch in ((finished("RAFT").folder, 4), (imported.folder, 50)):
        trainer = build("RAFT")
        trainer.load_model(str(folder), epoch=epoch)
        trainer.set_model_mode("eval")
        with torch.no_grad():
            branches, _ = trainer.collect_branches("test", trainer.test_loader)
        logits.append(branches["region"])
    assert not torch.equal(*logits)
    torch.testing.assert_close(*logits, rtol=0, atol=0.05)  # of logits about 20


def test_an_unknown_flag(imported: Import, capsys: pytest.CaptureFixture[str], adapter_file: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        imported(adapter_file(), "AMU", "--clasnames", "names.txt")
    assert caught.value.code == 2 and "error: unknown flag --clasnames" in capsys.readouterr().err
