from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.sweep.cell import Cell

MakeCell = Callable[..., Cell]


@pytest.fixture
def cell(tmp_path: Path) -> MakeCell:
    """Make a cell that nothing is run for."""

    def make(
        trainer: str = "AMU", dataset: str = "digits", shots: int = 1, seed: int = 1, model: Path | None = None
    ) -> Cell:
        folder = tmp_path / "out" / dataset / trainer / f"tiny_{shots}shots" / f"seed{seed}"
        return Cell(trainer, dataset, "tiny", shots, seed, "all", folder, (), model)

    return make
