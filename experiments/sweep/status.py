"""What of a plan is done already, and whether the rest can run: asked before anything does."""

import contextlib
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence

from amu_raft.errors import EXPECTED_ERRORS, one_line
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from experiments.runs.arguments import build_parser
from experiments.runs.config import RunPlan, build_plan
from experiments.runs.finished import is_finished
from experiments.sweep.cell import Cell


def run_plans(cells: Iterable[Cell]) -> dict[Cell, RunPlan]:
    """Return the frozen configuration of every cell.

    Raises:
        ValueError: At an unknown key or a value that its key does not take.
    """
    parser = build_parser()
    return {cell: build_plan(parser.parse_args(list(cell.arguments))) for cell in cells}


def check_settings(plans: Mapping[Cell, RunPlan]) -> None:
    """Ask the trainers what they refuse of a configuration before they load anything, their ``check_cfg``.

    A stranger's that needs what its constructor makes, or has none, is asked by its runs alone.

    Raises:
        ValueError: Naming the first run whose settings are refused.
    """
    for cell, plan in plans.items():
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")  # the runs warn
                trainer = TRAINER_REGISTRY.get(plan.cfg.TRAINER.NAME)
                trainer.check_cfg(trainer.__new__(trainer), plan.cfg)
        except EXPECTED_ERRORS as error:
            raise ValueError(f"{cell.name}: {one_line(error)}") from error
        except Exception:
            continue


def finished_cells(plans: Mapping[Cell, RunPlan]) -> set[Cell]:
    """Return the cells whose run folders hold their results.

    Raises:
        ValueError: If a folder holds a run with other settings: nothing is done again in silence, and nothing is
            taken for what it is not.
    """
    return {cell for cell, plan in plans.items() if is_finished(plan)}


def check_data(plans: Sequence[RunPlan]) -> None:
    """Read each data set's list of images once.

    Raises:
        ValueError: Naming every data set that cannot be read, with the reason.
    """
    first = {(plan.dataset, plan.cfg.DATASET.ROOT): plan for plan in reversed(plans)}
    faults: dict[str, list[str]] = {}
    for (dataset, root), plan in reversed(first.items()):
        try:
            _read_data(plan)
        except EXPECTED_ERRORS as error:
            reason = one_line(error)
            if not root and reason.startswith("DATASET.ROOT is not given"):  # the same for all, but for its details
                reason = "DATASET.ROOT is not given, pass --root DIR"
            faults.setdefault(reason, []).append(dataset)
    if faults:
        count = sum(map(len, faults.values()))
        reasons = "; ".join(f"{', '.join(datasets)}: {reason}" for reason, datasets in faults.items())
        raise ValueError(f"{count} of {len(first)} data sets cannot be read, nothing was run: {reasons}")


def _read_data(plan: RunPlan) -> None:
    cfg = plan.cfg.clone()
    cfg.defrost()
    cfg.DATASET.NUM_SHOTS, cfg.DATASET.SUBSAMPLE_CLASSES = 0, "all"  # draws and keeps no sample
    name = cfg.DATASET.NAME
    if name not in DATASET_REGISTRY.registered_names():
        raise ValueError(f"no data set is registered as {name!r}")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the runs warn
        DATASET_REGISTRY.get(name)(cfg)
