import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers.export_weights.__main__ import main

Train = Callable[..., Any]


def run(*argv: object) -> int:
    return main([str(part) for part in argv])


def error(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    assert run(*argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
    return err


def test_the_released_forms(finished: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(finished("AMU").folder, tmp_path / "new" / "adapter.pt") == 0
    assert run(finished("RAFT").folder, tmp_path / "checkpoint.pth") == 0
    out = capsys.readouterr().out
    assert "AMU model " in out and "RAFT model " in out and "model.pth.tar-4 is written to" in out
    adapter = torch.load(tmp_path / "new" / "adapter.pt", weights_only=True)
    assert {key: (value.dtype, value.shape) for key, value in adapter.items()} == {
        "fc.weight": (torch.float32, (3, 192))
    }
    pooling = torch.load(tmp_path / "checkpoint.pth", weights_only=True)
    assert list(pooling) == ["net", "optimizer", "epoch", "lr_scheduler"] and pooling["epoch"] == 0
    assert len(pooling["net"]) == 9 and all(key.startswith("attnpool.") for key in pooling["net"])
    assert {value.dtype for value in pooling["net"].values()} == {torch.float16}


def test_which_epoch(finished: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished("AMU").folder, folder)
    stored = {
        epoch: torch.load(folder / "adapter" / f"model.pth.tar-{epoch}", weights_only=True)["state_dict"]["fc.weight"]
        for epoch in (1, 2, 4)
    }

    def exported(*options: object) -> Any:
        assert run(folder, tmp_path / "w.pt", "--force", *options) == 0
        return torch.load(tmp_path / "w.pt", weights_only=True)["fc.weight"]

    assert torch.equal(exported(), stored[4]) and not torch.equal(stored[1], stored[4])
    assert torch.equal(exported("--load-epoch", 1), stored[1])
    shutil.copy(folder / "adapter" / "model.pth.tar-2", folder / "adapter" / "model-best.pth.tar")
    assert torch.equal(exported(), stored[2])
    assert torch.equal(exported("--load-epoch", 4), stored[4])
    message = error(capsys, folder, tmp_path / "other.pt", "--load-epoch", 0)
    assert "adapter/model.pth.tar-0; saved are epochs 1, 2, 3, 4" in message
    assert not (tmp_path / "other.pt").exists()


def test_an_existing_file_is_replaced_only_by_force(
    finished: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.pt").write_bytes(b"mine")
    assert "w.pt exists; --force replaces it" in error(capsys, finished("AMU").folder, tmp_path / "w.pt")
    assert (tmp_path / "w.pt").read_bytes() == b"mine"
    assert "is a folder; name the file to write" in error(capsys, finished("AMU").folder, tmp_path, "--force")
    assert run(finished("AMU").folder, tmp_path / "w.pt", "--force") == 0
    assert (tmp_path / "w.pt").stat().st_size > 100 and list(tmp_path.iterdir()) == [tmp_path / "w.pt"]


def test_folders_without_a_model(finished: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.pt"
    assert "no run folder" in error(capsys, tmp_path / "absent", file)
    assert "has no model; exactly one of adapter (AMU), attnpool (RAFT) is wanted" in error(
        capsys, finished("ZeroshotCLIP").folder, file
    )
    (tmp_path / "run" / "adapter").mkdir(parents=True)
    assert "nothing is saved there" in error(capsys, tmp_path / "run", file)
    (tmp_path / "run" / "attnpool").mkdir()
    assert "has adapter and attnpool; exactly one of" in error(capsys, tmp_path / "run", file)
    assert not file.exists()


@pytest.mark.parametrize(
    ("name", "state", "message"),
    [
        ("adapter", {"fc.weight": torch.ones(2, 2), "fc.bias": torch.ones(2)}, "must hold fc.weight alone"),
        ("adapter", None, "adapter/model.pth.tar-1 holds no state dict"),
        ("attnpool", {"fc.weight": torch.ones(2, 2)}, "is no attention pooling"),
        ("attnpool", {"positional_embedding": torch.full((2, 2), 1e9)}, "float16, the released form, cannot hold"),
    ],
)
def test_models_that_cannot_be_written(
    name: str, state: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / name / "model.pth.tar-1")
    assert message in error(capsys, tmp_path, tmp_path / "w.pt")
    assert not (tmp_path / "w.pt").exists()


def test_a_checkpoint_with_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class RunsCode:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "trap",)

    (tmp_path / "adapter").mkdir()
    torch.save({"state_dict": RunsCode(), "epoch": 1}, tmp_path / "adapter" / "model.pth.tar-1")
    assert "could run code" in error(capsys, tmp_path, tmp_path / "w.pt")
    assert not (tmp_path / "trap").exists()
