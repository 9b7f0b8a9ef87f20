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

from amu_raft.json_file import write_json_file
from amu_raft.model.model_folder import remove_model_folder
from amu_raft.model.top_classes import TopClasses, top_classes
from datasets.validation import has_own_validation, validation_facts
from experiments.results.predictions import Predictions
from experiments.runs.config import REPOSITORY, RunPlan
from experiments.runs.event_files import write_event_files
from experiments.runs.image_records import remove_image_records, write_image_records
from experiments.runs.settings import NOT_STATED, RESULT_FILE, read_result, read_settings, selection_unknown
from experiments.runs.tree import as_dict

SCHEMA = 1
_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "dassl", "yacs")


class EvaluationLog:
    """Listen to an evaluator, so that any trainer's predictions can be recorded, whoever wrote it.

    Args:
        evaluator: The toolbox's evaluator; its ``reset``, ``process`` and ``evaluate`` go on as before.
    """

    def __init__(self, evaluator: Any) -> None:
        self.top: list[TopClasses] = []
        self.labels: list[Tensor] = []
        self.num_outputs = 0  # columns of the logits
        self.results: dict[str, float] = {}
        reset, process, evaluate = evaluator.reset, evaluator.process, evaluator.evaluate

        def logged_reset() -> None:
            self.top, self.labels = [], []
            reset()

        def logged_process(output: Any, labels: Tensor) -> None:
            logits = output[0] if isinstance(output, (tuple, list)) else output
            self.top.append(top_classes(logits))
            self.num_outputs = logits.shape[1]
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
        predicted = torch.cat([top.labels[:, 0] for top in self.top])
        labels = torch.cat(self.labels)
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
        self.predictions: Predictions | None = None
        self.commit = git_commit()  # now: the tree may change while a long run goes on

    def mark(self, name: str, since: float) -> None:
        """Note how many seconds a part of the run took."""
        self.seconds[name] = round(time.perf_counter() - since, 3)

    def collect(self, trainer: Any, log: EvaluationLog) -> dict[str, Any]:
        """Return what result.json is to hold, after writing what was made of every image."""
        plan, cfg = self.plan, self.plan.cfg
        outcome = dict(getattr(trainer, "outcome", {}))
        figures = log.figures(trainer.dm.dataset.lab2cname)
        split = outcome.pop("split", None) or _plain_split(trainer)
        self.predictions = self._write_images(trainer, log, split)
        return {
            "schema": SCHEMA,
            "status": "trained" if figures["accuracy"] is None else "finished",  # TEST.NO_TEST leaves no score
            "mode": "eval" if plan.eval_only else "train",
            "model": plan.model_dir or None,
            "trainer": cfg.TRAINER.NAME,
            "dataset": plan.dataset,
            "dataset_name": cfg.DATASET.NAME,
            "config": plan.config,
            "backbone": cfg.MODEL.BACKBONE.NAME,
            "backbone_sha256": getattr(getattr(trainer, "backbone", None), "sha256", None),
            "num_shots": max(cfg.DATASET.NUM_SHOTS, 0),
            "seed": cfg.SEED,
            "subsample_classes": cfg.DATASET.SUBSAMPLE_CLASSES,
            "protocol": _with_model(outcome.pop("protocol", _plain_protocol(plan, trainer.dm.dataset)), plan),
            "split": split,
            **figures,
            "zero_shot_accuracy": outcome.pop("zero_shot_accuracy", None),
            **outcome,
            "cfg": as_dict(cfg),
            "versions": versions(),
            "git_commit": self.commit,
            "device": str(trainer.device),
        }

    def write(self, result: dict[str, Any]) -> None:
        """Write result.json into the run folder, with the time and memory that the run took until now."""
        cfg = self.plan.cfg
        self.mark("total", self.started)
        result.update(seconds=self.seconds, peak_memory_mb=peak_memory_mb())
        write_json_file(result, Path(cfg.OUTPUT_DIR) / RESULT_FILE)
        if result["status"] == "finished":
            write_event_files(result, self.predictions, Path(cfg.OUTPUT_DIR), figures=cfg.TEST.FIGURES)

    def _write_images(self, trainer: Any, log: EvaluationLog, split: str) -> Predictions | None:
        folder, since = Path(self.plan.cfg.OUTPUT_DIR), time.perf_counter()
        if not self.plan.cfg.TEST.KEEP_PREDICTIONS or not log.labels:
            remove_image_records(folder)
            return None
        predictions = write_image_records(trainer, log, split, folder)
        self.mark("image_records", since)
        return predictions


def set_aside(output_dir: Path) -> None:
    """Rename an earlier result, so that a run that fails cannot be taken for the finished one before it."""
    remove_image_records(output_dir)
    remove_model_folder(output_dir)
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


def _plain_split(trainer: Any) -> str:
    """Return the split that a trainer evaluates that does not say; the test set stands in for a missing one."""
    return "val" if trainer.cfg.TEST.SPLIT == "val" and trainer.val_loader is not None else "test"


def _plain_protocol(plan: RunPlan, dataset: Any) -> dict[str, Any]:
    """Describe the run of a trainer that does not; without validation images the toolbox chooses on the test set."""
    cfg = plan.cfg
    # A model that is only evaluated was chosen elsewhere; ``_with_model`` knows whether that was on test images.
    on_validation = plan.eval_only or has_own_validation(dataset)
    chosen_on = {"best_val": "validation" if on_validation else "test", "best_test": "test"}
    selected_on = chosen_on.get(cfg.TEST.FINAL_MODEL, "none")
    return {
        "final_model": cfg.TEST.FINAL_MODEL,
        "selected_on": selected_on,
        "views": "online",
        "oracle": selected_on == "test",
        **validation_facts(dataset, cfg.DATASET.NUM_SHOTS),
    }


def _with_model(protocol: dict[str, Any], plan: RunPlan) -> dict[str, Any]:
    """Mark the evaluation of a model that was, or may have been, chosen on test labels, whatever it does itself."""
    if not (plan.eval_only and plan.model_dir):
        return protocol
    folder = Path(plan.model_dir)
    settings, earlier = read_settings(folder) or {}, read_result(folder).get("protocol", {})
    final_model = settings.get("TEST.FINAL_MODEL")
    if earlier.get("oracle") or (not earlier and final_model == "best_test"):  # imported, or not trained to its end
        final_model = earlier.get("final_model", final_model)
        return {**protocol, "final_model": final_model, "selected_on": "test", "oracle": True}
    if selection_unknown(settings) and not protocol["oracle"]:
        return {**protocol, "final_model": NOT_STATED, "selected_on": NOT_STATED}
    return protocol
