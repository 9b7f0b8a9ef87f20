"""Hand-made run folders: results as train.py writes them, logs as CoOp-style code prints them."""

import json
from pathlib import Path
from typing import Any

RESULT: dict[str, Any] = {
    "schema": 1,
    "status": "finished",
    "mode": "train",
    "trainer": "AMU",
    "dataset": "digits",
    "dataset_name": "Digits",
    "config": "tiny",
    "backbone": "tiny",
    "num_shots": 16,
    "seed": 1,
    "subsample_classes": "all",
    "protocol": {"final_model": "last_step", "selected_on": "validation", "views": "8", "oracle": False},
    "split": "test",
    "accuracy": 90.0,
    "macro_f1": 89.0,
    "zero_shot_accuracy": 65.0,
    "cfg": {"TRAIN": {"VIEWS": "8"}, "TEST": {"FINAL_MODEL": "last_step"}, "TRAINER": {"AMU": {"FUSION_ALPHA": 0.5}}},
}
PROTOCOL: dict[str, Any] = RESULT["protocol"]
ORACLE = PROTOCOL | {"selected_on": "test", "oracle": True}


def write_result(base: Path, seed: int = 1, **changes: Any) -> Path:
    """Write result.json into DATASET/TRAINER/CONFIG_SHOTSshots/seedN below a folder and return that folder."""
    result = RESULT | {"seed": seed} | changes
    name = f"{result['config']}_{result['num_shots']}shots"
    folder = base / str(result["dataset"]) / str(result["trainer"]) / name / f"seed{seed}"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def write_halves(
    base: Path, seed: int, base_accuracy: float | None, new_accuracy: float | None, **changes: Any
) -> None:
    """Write the two runs of a base-to-new experiment; None leaves one out."""
    for half, folder, accuracy in (("base", "train_base", base_accuracy), ("new", "test_new", new_accuracy)):
        if accuracy is not None:
            mode = "train" if half == "base" else "eval"
            changes = changes | {"subsample_classes": half, "accuracy": accuracy, "mode": mode}
            write_result(base / folder, seed, **changes)


def evaluation(accuracy: float, total: int = 1000) -> str:
    """Return the lines that Dassl's evaluator prints."""
    return (
        f"=> result\n* total: {total:,}\n* correct: {accuracy * total / 100:,.0f}\n* accuracy: {accuracy:.1f}%\n"
        f"* error: {100 - accuracy:.1f}%\n* macro_f1: {accuracy - 1:.1f}%\n"
    )


def header(seed: int = 1, *, eval_only: bool = False, backbone: str = "RN50", subset: str = "all") -> str:
    """Return what CoOp's train.py prints first: arguments, configuration, system."""
    return (
        "***************\n** Arguments **\n***************\nbackbone: \n"
        f"config_file: configs/trainers/CoOp/rn50.yaml\ndataset_config_file: configs/datasets/dtd.yaml\n"
        f"eval_only: {eval_only}\nseed: {seed}\ntrainer: CoOp\n"
        "************\n** Config **\n************\nDATASET:\n  NAME: DescribableTextures\n  NUM_SHOTS: 16\n"
        f"  SUBSAMPLE_CLASSES: {subset}\nMODEL:\n  BACKBONE:\n    NAME: {backbone}\n    PRETRAINED: True\n"
        "  HEAD:\n    ACTIVATION: relu\n    NAME: \n  INIT_WEIGHTS: \nOPTIM:\n  NAME: sgd\n"
        "** System info **\nPyTorch version: 1.8.1\n\nLoading trainer: CoOp\nLoading dataset: DescribableTextures\n"
    )


def epochs(last: int, of: int = 50) -> str:
    """Return progress lines of some epochs."""
    line = "epoch [{}/{}] batch [5/23] time 0.142 (0.166) loss 2.1 (2.3) acc 40.6 (38.1) lr 2.0e-03 eta 0:04:11\n"
    return "".join(line.format(number, of) for number in range(1, last + 1))


def finished_log(accuracy: float, **arguments: Any) -> str:
    """Return the log of a CoOp run that came to its end."""
    return (
        header(**arguments)
        + epochs(50)
        + "Checkpoint saved to output/prompt_learner/model.pth.tar-50\nFinish training\nDeploy the last-epoch model\n"
        + "Evaluate on the *test* set\n"
        + evaluation(accuracy)
        + "Elapsed: 0:12:51\n"
    )


def write_log(folder: Path, text: str, name: str = "log.txt") -> Path:
    """Write a log into a folder and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder
