"""failure.json: why the last try of a run failed, until it is tried again."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from amu_raft.errors import described
from amu_raft.json_file import write_json_file
from experiments.runs.config import RunPlan
from experiments.runs.settings import RESULT_FILE

FAILURE_FILE = "failure.json"
SCHEMA = 1


def write_failure(folder: Path, error: str, run: Mapping[str, Any]) -> None:
    """Record why a run failed; a folder that holds a result keeps it and gets no such file.

    Args:
        folder: The run folder.
        error: One line.
        run: trainer, dataset, num_shots, seed, config, backbone and subsample_classes, as in result.json.

    Raises:
        OSError: If the file cannot be written.
    """
    if not (folder / RESULT_FILE).is_file():
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        write_json_file({"schema": SCHEMA, "error": error, **run, "when": when}, folder / FAILURE_FILE)


def facts_of(plan: RunPlan) -> dict[str, Any]:
    """Return what failure.json says about a planned run."""
    cfg = plan.cfg
    return {
        "trainer": cfg.TRAINER.NAME,
        "dataset": plan.dataset,
        "num_shots": max(cfg.DATASET.NUM_SHOTS, 0),
        "seed": cfg.SEED,
        "config": plan.config,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "subsample_classes": cfg.DATASET.SUBSAMPLE_CLASSES,
    }


@contextlib.contextmanager
def failure_recorded(plan: RunPlan) -> Iterator[None]:
    """Record what goes wrong inside in the run folder, and forget what went wrong there before.

    An interrupt is no failure: the run goes on when it is started again. A folder that cannot be written to is named
    by the error itself.
    """
    folder = Path(plan.cfg.OUTPUT_DIR)
    with contextlib.suppress(OSError):
        (folder / FAILURE_FILE).unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        if plan.cfg.OUTPUT_DIR:
            with contextlib.suppress(OSError):
                write_failure(folder, described(error), facts_of(plan))
        raise
