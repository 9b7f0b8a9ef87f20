"""What a run leaves behind for programs to read: result.json."""

import importlib.metadata
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datasets.json_file import write_json_file
from datasets.validation import has_own_validation
from runs.config import REPOSITORY, RunPlan, as_dict
from runs.settings import RESULT_FILE

SCHEMA = 1
_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "dassl", "yacs")


class EvaluationLog:
    """Listen to an evaluator, so that any trainer's predictions can be recorded, whoever wrote it.

    Args:
        evaluator: The toolbox's evaluator; its ``reset``, ``process`` and ``evaluate`` go on as before.
    """

    def __init__(self, evaluator: Any) -> None:
        self.predicted: list[Tensor] = []
        self.labels: list[Tensor] = []
        self.results: dict[str, float] = {}
        reset, process, evaluate = evaluator.reset, evaluator.process, evaluator.evaluate

        def logged_reset() -> None:
            self.predicted, self.labels = [], []
            reset()

        def logged_process(output: Any, labels: Tensor) -> None:
            logits = output[0] if isinstance(output, (tuple, list)) else output
            self.predicted.append(logits.argmax(dim=1).cpu())
            self.labels.append(labels.cpu())
            process(output, labels)

        def logged_evaluate() -> Any:
            results = evaluate()
            self.results = {name: float(value) for name, value in results.items()}
            return results

        evaluator.reset, evaluator.process, evaluator.evaluate = logged_reset, logged_process, logged_evaluate

    def figures(self, names: dict[int, str]) -> dict[str, Any]:
        """Return the last evaluation: counts, accuracy, macro-F1 and accuracy per class, in percent."""
        if not self.labels:
            return {"total": 0, "correct": 0, "accuracy": None, "macro_f1": None, "per_class_accuracy": {}}
        predicted, labels = torch.cat(self.predicted), torch.cat(self.labels)
        right = predicted == labels
        return {
            "total": len(labels),
            "correct": int(right.sum()),
            "accuracy": 100.0 * int(right.sum()) / len(labels),
            "macro_f1": self.results.get("macro_f1"),
            "per_class_accuracy": {
                names.get(label, str(label)): 100.0 * int(right[labels == label].sum()) / int((labels == label).sum())
                for label in labels.unique().tolist()
            },
        }


class RunRecord:
    """Collect what result.json holds, and write it when the run is done.

    Args:
        plan: The run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.started = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self.commit = git_commit()  # now: the tree may change while a long run goes on

    def mark(self, name: str, since: float) -> None:
        """Note how many seconds a part of the run took."""
        self.seconds[name] = round(time.perf_counter() - since, 3)

    def write(self, trainer: Any, log: EvaluationLog) -> dict[str, Any]:
        """Write result.json into the run folder and return what it holds."""
        plan, cfg = self.plan, self.plan.cfg
        outcome = dict(getattr(trainer, "outcome", {}))
        figures = log.figures(trainer.dm.dataset.lab2cname)
        self.mark("total", self.started)
        result = {
            "schema": SCHEMA,
            "status": "trained" if figures["accuracy"] is None else "finished",  # TEST.NO_TEST leaves no score
            "mode": "eval" if plan.eval_only else "train",
            "trainer": cfg.TRAINER.NAME,
            "dataset": plan.dataset,
            "dataset_name": cfg.DATASET.NAME,
            "config": plan.config,
            "backbone": cfg.MODEL.BACKBONE.NAME,
            "backbone_sha256": getattr(getattr(trainer, "backbone", None), "sha256", None),
            "num_shots": max(cfg.DATASET.NUM_SHOTS, 0),
            "seed": cfg.SEED,
            "subsample_classes": cfg.DATASET.SUBSAMPLE_CLASSES,
            "protocol": outcome.pop("protocol", _plain_protocol(plan, trainer.dm.dataset)),
            "split": outcome.pop("split", cfg.TEST.SPLIT),
            **figures,
            "zero_shot_accuracy": outcome.pop("zero_shot_accuracy", None),
            **outcome,
            "cfg": as_dict(cfg),
            "versions": versions(),
            "git_commit": self.commit,
            "device": str(trainer.device),
            "seconds": self.seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
        write_json_file(result, Path(cfg.OUTPUT_DIR) / RESULT_FILE)
        return result


def set_aside(output_dir: Path) -> None:
    """Rename an earlier result, so that a run that fails cannot be taken for the finished one before it."""
    earlier = output_dir / RESULT_FILE
    if earlier.is_file():
        earlier.replace(output_dir / "result.previous.json")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can move numbers."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed as a package"
    return found


def git_commit() -> str | None:
    """Return the commit of the working tree, with "-dirty" if files differ from it; None outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def peak_memory_mb() -> float:
    """Return the process's highest resident memory so far, plus the device's, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return round((host + device) / 2**20, 1)


def _plain_protocol(plan: RunPlan, dataset: Any) -> dict[str, Any]:
    """Describe the run of a trainer that does not; without validation images the toolbox chooses on the test set."""
    selected_on = "none"
    if plan.cfg.TEST.FINAL_MODEL == "best_val":
        selected_on = "validation" if has_own_validation(dataset) else "test"
    return {
        "final_model": plan.cfg.TEST.FINAL_MODEL,
        "selected_on": selected_on,
        "views": "online",
        "oracle": selected_on == "test",
    }
