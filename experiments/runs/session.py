"""Carry out a planned run: log, seed, trainer, training, evaluation, record."""

import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from yacs.config import CfgNode

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import build_trainer
from dassl.utils import collect_env_info, set_random_seed, setup_logger
from experiments.runs.config import RunPlan, build_plan, trains_anything
from experiments.runs.failure import failure_recorded
from experiments.runs.folder_lock import folder_locked
from experiments.runs.product import write_product
from experiments.runs.record import EvaluationLog, RunRecord, set_aside
from experiments.runs.settings import check_same, claim_folder, settings_of

_DEFAULT_THREADS = torch.get_num_threads()


def run(arguments: Any) -> dict[str, Any]:
    """Do the run that a command line of train.py asks for, and return what its result.json holds.

    Nothing is returned if nothing was to be trained or evaluated.
    """
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
    return execute(build_plan(arguments))


def execute(plan: RunPlan) -> dict[str, Any]:
    """Do a run and return what its result.json holds; empty with --no-train.

    The order is the toolbox's, because random numbers depend on it: seed, log, environment, trainer.

    Raises:
        OSError: If the output folder cannot be written.
        ValueError: At bad settings or data.
        FloatingPointError: If the loss is not finite.
        RuntimeError: If another process works in the output folder.
    """
    if not plan.eval_only and not plan.no_train:
        refuse_test_images(plan.cfg)  # before there is a folder: a run that must never be has none
    folder = plan.cfg.OUTPUT_DIR
    # Outside of what records a failure: the folder is the other process's, its log and its failure too.
    with folder_locked(Path(folder)) if folder else nullcontext(), failure_recorded(plan):
        return _execute(plan)


def _execute(plan: RunPlan) -> dict[str, Any]:
    cfg = plan.cfg
    record = RunRecord(plan)
    # Part of the configuration, because the number of threads decides the order of float sums, so the last digits.
    torch.set_num_threads(cfg.TRAIN.NUM_THREADS or _DEFAULT_THREADS)
    output_dir = Path(cfg.OUTPUT_DIR)
    _prepare_folder(plan, output_dir)
    if cfg.SEED >= 0:
        print(f"Setting fixed seed: {cfg.SEED}")
        set_random_seed(cfg.SEED)
    with _log_to(output_dir), ThreadPoolExecutor(1) as beside:
        environment = beside.submit(_environment)
        if torch.cuda.is_available() and cfg.USE_CUDA:
            torch.backends.cudnn.benchmark = False  # benchmarked kernels differ from run to run
        _log_only(f"** Config **\n{cfg}\n")
        for path in plan.overlays:
            print(f"Merged {path}: what {cfg.TRAINER.NAME} changes on {plan.dataset}")
        since = time.perf_counter()
        try:
            trainer = build_trainer(cfg)
        finally:
            _log_only(f"** System info **\n{environment.result()}\n")
        record.mark("setup", since)
        return _train_or_evaluate(plan, trainer, record)


def _train_or_evaluate(plan: RunPlan, trainer: Any, record: RunRecord) -> dict[str, Any]:
    log = EvaluationLog(trainer.evaluator)
    since = time.perf_counter()
    if plan.eval_only:
        if not plan.model_dir and trainer.get_model_names():
            raise ValueError("--eval-only needs --model-dir, the run folder of a trained model")
        if plan.model_dir and not Path(plan.model_dir).is_dir():
            raise FileNotFoundError(f"no run folder {plan.model_dir} to load a model from")
        trainer.load_model(plan.model_dir, epoch=epoch_to_load(plan))
        trainer.test()
        record.mark("evaluation", since)
    elif plan.no_train:
        return {}
    else:
        check_images(trainer)
        claim(plan.cfg, trainer)
        trainer.train()
        record.mark("training_and_evaluation", since)
    result = record.collect(trainer, log)
    since = time.perf_counter()
    if write_product(plan, trainer, result):  # before the result, which says that the run came to its end
        record.mark("model_folder", since)
    record.write(result)
    if result["accuracy"] is not None:
        zero_shot = result["zero_shot_accuracy"]
        beside = f" (zero-shot {zero_shot:.2f}%)" if zero_shot is not None else ""
        mark = "; chosen on test images" * bool(result["protocol"].get("oracle"))
        print(f"{plan.cfg.TRAINER.NAME} on {plan.dataset}: accuracy {result['accuracy']:.2f}%{beside}{mark}")
    print(f"Result is saved to {plan.cfg.OUTPUT_DIR}/result.json")
    return result


def refuse_test_images(cfg: CfgNode) -> None:
    """Refuse to train on a data set that is there to be evaluated on, before anything is loaded.

    Raises:
        ValueError: Saying what to do instead.
    """
    name, trainer = cfg.DATASET.NAME, cfg.TRAINER.NAME
    if name not in DATASET_REGISTRY.registered_names() or not trains_anything(trainer):
        return
    if getattr(DATASET_REGISTRY.get(name), "evaluation_only", False):
        raise ValueError(
            f"{name} is for evaluation: its images are test images; "
            "train on ImageNet and evaluate with --eval-only --model-dir RUN"
        )


def check_images(trainer: Any) -> None:
    """Let a data set that can tell damaged images do so, before minutes of training and before a folder is taken.

    Raises:
        OSError: If there are any.
    """
    check = getattr(getattr(getattr(trainer, "dm", None), "dataset", None), "check_images", None)
    if check is not None:
        check()


def claim(cfg: CfgNode, trainer: Any) -> None:
    """Check that what would be resumed is this very run, then take the output folder.

    Only now is an earlier result set aside: a command that fails before has lost nothing.

    Raises:
        FileNotFoundError: If the folder to resume from has no checkpoint of a model.
        ValueError: If it, or the output folder, holds a run with other settings.
    """
    settings, output_dir = settings_of(cfg, trainer), Path(cfg.OUTPUT_DIR)
    if cfg.RESUME:
        resume = Path(cfg.RESUME)
        for name in trainer.get_model_names():
            if not (resume / name / "checkpoint").is_file():
                raise FileNotFoundError(f"{resume} has no checkpoint of {name} to resume from")
        check_same(settings, resume, "resume with the settings of that run")
    claim_folder(settings, output_dir)
    set_aside(output_dir)


def epoch_to_load(plan: RunPlan) -> int | None:
    """Return the epoch to evaluate: the one asked for, else None for the best one, else the last that was saved."""
    folder = Path(plan.model_dir)
    if plan.load_epoch is not None or not plan.model_dir or any(folder.glob("*/model-best.pth.tar")):
        return plan.load_epoch
    saved = [int(path.name.rpartition("-")[2]) for path in folder.glob("*/model.pth.tar-*") if path.name[-1].isdigit()]
    return max(saved, default=None)


def _prepare_folder(plan: RunPlan, output_dir: Path) -> None:
    """Make the run folder, and refuse one that cannot be written or that an evaluation would overwrite."""
    if not plan.cfg.OUTPUT_DIR:
        raise ValueError("the output folder is an empty name; leave --output-dir out for the default")
    probe = output_dir / ".writable"
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OSError(f"output folder {output_dir} cannot be written: {error.strerror}") from error
    if plan.cfg.RESUME and not Path(plan.cfg.RESUME).is_dir():
        raise FileNotFoundError(f"no run folder to resume from at {plan.cfg.RESUME}")
    if plan.eval_only and any(output_dir.glob("*/checkpoint")):
        raise ValueError(f"output folder {output_dir} holds a trained model; give the evaluation another --output-dir")


@cache
def _environment() -> str:
    """Describe the machine, once a process: torch asks pip, which takes as long as a short run."""
    return collect_env_info()


def _log_only(text: str) -> None:
    """Write to log.txt what would only push the interesting lines off the console."""
    log = getattr(sys.stdout, "file", None)
    print(text, file=log or sys.stdout)


@contextmanager
def _log_to(output_dir: Path) -> Iterator[None]:
    """Copy what is printed to log.txt, and give the console back afterwards: several runs may share a process."""
    console = sys.stdout
    setup_logger(str(output_dir))
    tee = sys.stdout
    try:
        yield
    except Exception:
        _log_only(traceback.format_exc())  # the one line on the console does not say where it came from
        raise
    finally:
        tee.flush()
        sys.stdout = console
        if tee is not console and hasattr(tee, "restore"):
            tee.restore()
