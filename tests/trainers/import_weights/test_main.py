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


def _mark(protocol: dict[str, Any]) -> tuple[Any, ...]:
    return protocol["final_model"], protocol["selected_on"], protocol["oracle"]


@pytest.mark.parametrize(("trainer", "chosen"), [("AMU", "last_step"), ("RAFT", "best_test")])
def test_how_an_imported_model_was_chosen_is_not_known_unless_it_is_said(
    trainer: str, chosen: str, train_main: Train, imported: Import, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, file = train_main(trainer, "TEST.FINAL_MODEL", chosen), tmp_path / "model.pt"
    assert run.status == 0 and run.result["protocol"]["oracle"] == (chosen == "best_test")
    assert export_main([str(run.folder), str(file)]) == 0
    assert f"import it with TEST.FINAL_MODEL {chosen}\n" in capsys.readouterr().out

    status, out, _ = imported(file, trainer)
    assert status == 0 and "on which images the epoch was chosen is not stated" in out
    for pairs in ((), ("TEST.FINAL_MODEL", "last_step"), ("DATASET.SUBSAMPLE_CLASSES", "base")):
        evaluated = train_main(trainer, "--eval-only", "--model-dir", str(imported.folder), *pairs)
        assert evaluated.status == 0, evaluated.err
        assert _mark(evaluated.result["protocol"]) == ("not stated", "not stated", False)
    own = ("TRAINER.RAFT.ALPHA_RULE", "first_best") if trainer == "RAFT" else ("TRAINER.AMU.TUNE", "post_hoc")
    oracle = train_main(
        trainer, "--eval-only", "--model-dir", str(imported.folder), "TEST.FINAL_MODEL", "best_test", *own
    )
    assert _mark(oracle.result["protocol"]) == ("best_test", "test", True)
    again = tmp_path / "again.pt"
    assert export_main([str(imported.folder), str(again)]) == 0
    assert "import it with" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stated", "mark"),
    [
        ("best_test", ("best_test", "test", True)),
        ("best_val", ("best_val", "validation", False)),
        ("last_step", ("last_step", "none", False)),
    ],
)
def test_an_import_is_told_how_its_model_was_chosen(
    stated: str, mark: tuple[Any, ...], train_main: Train, imported: Import, pooling_file: Path
) -> None:
    status, out, _ = imported(pooling_file, "RAFT", "TEST.FINAL_MODEL", stated)
    assert status == 0 and "not stated" not in out
    evaluated = train_main("RAFT", "--eval-only", "--model-dir", str(imported.folder))
    assert _mark(evaluated.result["protocol"]) == mark
    otherwise = ("TEST.FINAL_MODEL", "last_step")
    evaluated = train_main("RAFT", "--eval-only", "--model-dir", str(imported.folder), *otherwise)
    assert evaluated.result["protocol"]["oracle"] == (stated == "best_test")


def test_an_import_is_told_nonsense(imported: Import, pooling_file: Path) -> None:
    message = imported.error(pooling_file, "RAFT", "TEST.FINAL_MODEL", "best")
    assert "unknown TEST.FINAL_MODEL 'best'; choose from last_step, best_val, best_test" in message


@pytest.mark.parametrize("given", [1.0, 0.5])
def test_no_alpha_is_chosen_for_an_imported_model_unless_asked_for(
    given: float, train_main: Train, imported: Import, pooling_file: Path
) -> None:
    assert imported(pooling_file, "RAFT", "TRAINER.RAFT.FUSION_ALPHA", str(given))[0] == 0
    elsewhere = ("DATASET.SUBSAMPLE_CLASSES", "base")
    for pairs in ((), elsewhere):
        evaluated = train_main("RAFT", "--eval-only", "--model-dir", str(imported.folder), *pairs)
        assert evaluated.status == 0 and "which alpha" not in evaluated.err
        assert evaluated.result["fusion_alpha"] == given and "tuning" not in evaluated.result
        assert evaluated.result["protocol"]["alpha_rule"] == "fixed"
    asked = ("TRAINER.RAFT.ALPHA_RULE", "first_best")
    evaluated = train_main("RAFT", "--eval-only", "--model-dir", str(imported.folder), *asked)
    assert "tuning" in evaluated.result
