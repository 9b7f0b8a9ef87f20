"""sweep.json: the plan of a sweep and how each of its cells is, whole at any moment."""

import os
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from amu_raft.json_file import write_json_file
from experiments.runs.config import RunPlan
from experiments.runs.failure import facts_of
from experiments.sweep.axes import Axes
from experiments.sweep.cell import Cell, Outcome

SWEEP_FILE = "sweep.json"
SCHEMA = 1


class Journal:
    """Keeps sweep.json in the sweep's output folder; a sweep of another plan in the same folder replaces it.

    Args:
        axes: What the plan was made from.
        plans: All its cells.
        done: Those that are finished already.
    """

    def __init__(self, axes: Axes, plans: Mapping[Cell, RunPlan], done: Collection[Cell]) -> None:
        self.path, self.axes, self.started = axes.output_dir / SWEEP_FILE, axes, _now()
        self.entries: dict[Cell, dict[str, Any]] = {}
        for cell, plan in plans.items():
            folder = Path(os.path.relpath(cell.folder, self.path.parent)).as_posix()
            status = "done" if cell in done else "pending"
            self.entries[cell] = {**facts_of(plan), "folder": folder, "status": status, "seconds": None, "error": None}

    def note(self, outcome: Outcome) -> None:
        """Note how a cell ended, and write the file."""
        self.entries[outcome.cell] |= {
            "status": "failed" if outcome.error else "done",
            "seconds": round(outcome.seconds, 3),
            "error": outcome.error,
        }
        self.write()

    def write(self) -> None:
        """Write the file in one step.

        Raises:
            OSError: If it cannot be written.
        """
        content = {
            "schema": SCHEMA,
            "plan": self.axes.as_dict(),
            "started": self.started,
            "updated": _now(),
            "cells": list(self.entries.values()),
        }
        write_json_file(content, self.path)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
