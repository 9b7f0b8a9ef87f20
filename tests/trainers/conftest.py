from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BuildTrainer = Callable[..., Any]


@pytest.fixture
def build(image_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> BuildTrainer:
    """Build a trainer as a run would, without running it."""
    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed
    from experiments.runs.arguments import build_parser
    from experiments.runs.config import build_plan

    def make(trainer: str, *overrides: str, root: Path = image_root) -> Any:
        small = ["DATASET.NUM_SHOTS", "2", "DATALOADER.TRAIN_X.BATCH_SIZE", "4", "OPTIM.MAX_EPOCH", "4"]
        small += ["OPTIM.WARMUP_EPOCH", "1", "TRAIN.VIEWS", "2", "OUTPUT_DIR", str(tmp_path / "run")]
        argv = ["--trainer", trainer, "--root", str(root), "--dataset-config-file", "image_folder", *small, *overrides]
        cfg = build_plan(build_parser().parse_args(argv)).cfg
        set_random_seed(cfg.SEED)
        return build_trainer(cfg)

    return make
