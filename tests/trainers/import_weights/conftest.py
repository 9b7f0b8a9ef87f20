"""The import as a command on the small image folder, and files for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainers.export_weights.__main__ import main as export_main
from trainers.import_weights.__main__ import main as import_main

Train = Callable[..., Any]


class Import:
    """Calls of the import on the small image folder."""

    def __init__(self, image_root: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.image_root, self.folder, self.capsys = image_root, folder, capsys

    def __call__(self, file: Path | str, trainer: str, *options: str) -> tuple[int, str, str]:
        flags = ["--trainer", trainer, "--output-dir", str(self.folder)]
        for flag, value in (("--dataset-config-file", "image_folder"), ("--root", str(self.image_root))):
            flags += [] if flag in options else [flag, value]
        status = import_main([str(file), *flags, *options])
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def error(self, file: Path | str, trainer: str, *options: str) -> str:
        """The one line of an import that fails; nothing is left behind."""
        before = sorted(self.folder.rglob("*"))
        status, _, err = self(file, trainer, *options)
        assert status == 1 and err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err, err
        assert sorted(self.folder.rglob("*")) == before
        return err


@pytest.fixture
def imported(image_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    return Import(image_root, tmp_path / "imported", capsys)


@pytest.fixture
def adapter_file(tmp_path: Path) -> Callable[..., Path]:
    """Write an adapter of random numbers as its authors would."""

    def write(classes: int = 3, width: int = 192) -> Path:
        torch.manual_seed(0)
        torch.save({"fc.weight": torch.randn(classes, width)}, tmp_path / "adapter.pt")
        return tmp_path / "adapter.pt"

    return write


@pytest.fixture(scope="session")
def pooling_file(finished: Train, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("released") / "checkpoint.pth"
    assert export_main([str(finished("RAFT").folder), str(path)]) == 0
    return path
