"""Finished run folders without training: result.json, predictions and attention that fit together."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from amu_raft.json_file import read_json_file, write_json_file
from experiments.results.attention import AttentionMaps, choose_rows, write_attention
from experiments.results.predictions import Predictions, write_predictions
from experiments.runs.config import build_plan
from experiments.runs.tree import as_dict

CLASSNAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
GRID = 2  # regions a side of the tiny CLIP's feature maps


def write_example_run(
    folder: Path,
    trainer: str = "AMU",
    *,
    dataset: str = "digits",
    num_shots: int = 4,
    seed: int = 1,
    num_images: int = 60,
    classnames: tuple[str, ...] = CLASSNAMES,
    split: str = "test",
    images: bool = True,
    predictions: bool = True,
    **changes: Any,
) -> dict[str, Any]:
    """Write a run folder as a run of AMU, RAFT or ZeroshotCLIP would, and return what its result.json holds.

    Numbers are drawn from the seed; accuracy, branches and per-class figures are those of the predictions.

    Args:
        folder: The run folder.
        trainer: AMU, RAFT or ZeroshotCLIP.
        dataset: Stem of a data set YAML.
        num_shots: Shots; more of them give a better accuracy.
        seed: Seed.
        num_images: N.
        classnames: Names of the classes.
        split: Split evaluated.
        images: Whether the images exist, small drawings in ``folder/images``.
        predictions: Whether predictions and attention are kept.
        changes: Other values of result.json by key, such as ``protocol``, ``tuning``, ``backbone`` or ``status``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = example_predictions(
        folder / "images", trainer, num_shots=num_shots, seed=seed, num_images=num_images, classnames=classnames,
        split=split,
    )  # fmt: skip
    if images:
        _draw(made)
    if predictions:
        write_predictions(made, folder)
        if trainer == "RAFT":
            write_attention(example_attention(made, seed), folder)
    write_json_file({**_result(made, trainer, dataset, num_shots, seed, folder), **changes}, folder / "result.json")
    result: dict[str, Any] = read_json_file(folder / "result.json", what="result file")
    (folder / "log.txt").write_text(f"=> result\n* accuracy: {result['accuracy']:.1f}%\n", encoding="utf-8")
    return result


def example_predictions(
    root: Path,
    trainer: str,
    *,
    num_shots: int = 4,
    seed: int = 1,
    num_images: int = 60,
    classnames: tuple[str, ...] = CLASSNAMES,
    split: str = "test",
) -> Predictions:
    """Draw predictions whose zero-shot part depends on the data alone, as it does in runs."""
    num_classes = len(classnames)
    fixed, random = np.random.default_rng(0), np.random.default_rng([seed, num_shots, len(trainer)])
    labels = np.arange(num_images, dtype=np.int32) % num_classes
    truth = np.eye(num_classes)[labels]
    zero_shot = 1.5 * truth + fixed.normal(size=truth.shape)
    aux = truth * np.log2(1 + max(num_shots, 1)) / 2 + random.normal(size=truth.shape)
    deciding = zero_shot if trainer == "ZeroshotCLIP" else zero_shot + aux
    weight = 0.5 + 0.5 * random.random(num_images, dtype=np.float32)
    extras = {"aux_prediction": aux.argmax(axis=1).astype(np.int32), "weight": weight} if trainer == "AMU" else {}
    top5, probabilities = _top(deciding)
    zero_shot_top5, zero_shot_probabilities = _top(zero_shot)
    return Predictions(
        labels=labels,
        top5=top5,
        top5_probabilities=probabilities,
        zero_shot_top5=zero_shot_top5,
        zero_shot_probabilities=zero_shot_probabilities,
        extras=extras,
        classnames=classnames,
        images=tuple(f"{classnames[label]}/{row}.png" for row, label in enumerate(labels)),
        root=str(root.absolute()),
        split=split,
    )


def example_attention(predictions: Predictions, seed: int = 1, grid: int = GRID) -> AttentionMaps:
    """Draw attention maps; after tuning the class token looks at one region, the background token at another."""
    rows, random = choose_rows(predictions), np.random.default_rng(seed)
    before = random.random((len(rows), grid, grid))
    peak = np.zeros((grid, grid))
    peak[-1, 0] = 4.0

    def normalised(values: NDArray[Any]) -> NDArray[Any]:
        shares: NDArray[Any] = 0.8 * values / values.sum(axis=(1, 2), keepdims=True)
        return shares.astype(np.float32)

    return AttentionMaps(
        rows=rows,
        class_before=normalised(before),
        class_after=normalised(before + peak),
        background_before=normalised(before),
        background_after=normalised(before + peak.T),
    )


def _top(logits: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    top = np.argsort(-shares, axis=1, kind="stable")[:, :5]
    return top.astype(np.int32), np.take_along_axis(shares, top, axis=1).astype(np.float32)


def _draw(predictions: Predictions) -> None:
    for name, label in zip(predictions.images, predictions.labels, strict=True):
        path = Path(predictions.root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((32, 32, 3), 40, np.uint8)
        pixels[8:24, 3 * (label % 10) : 3 * (label % 10) + 5] = (230, 60 + 15 * (label % 10), 90)
        Image.fromarray(pixels).save(path)


def _result(made: Predictions, trainer: str, dataset: str, num_shots: int, seed: int, folder: Path) -> dict[str, Any]:
    import experiments.runs.record
    from experiments.runs.arguments import build_parser

    words = ["--trainer", trainer, "--seed", str(seed), "--dataset-config-file", dataset, "--output-dir", str(folder)]
    plan = build_plan(build_parser().parse_args([*words, "DATASET.NUM_SHOTS", str(num_shots)]))
    zero_shot = _accuracy(made.zero_shot_top5, made.labels)
    accuracy = _accuracy(made.top5, made.labels)
    own: dict[str, dict[str, Any]] = {
        "AMU": {
            "branches": {
                "zero_shot": zero_shot,
                "aux": 100.0 * float((made.extras.get("aux_prediction", made.labels) == made.labels).mean()),
                "fused": accuracy,
            },
            "fusion_alpha": 1.0,
            "uncertainty": "kurtosis",
            "uncertainty_power": 0.4,
            "loss_lambda": 0.35,
            "known_classes": len(made.classnames),
            "num_classes": len(made.classnames),
        },
        "RAFT": {"branches": {"zero_shot": zero_shot, "region": accuracy}, "fusion_alpha": 1.0},
        "ZeroshotCLIP": {"branches": {"zero_shot": zero_shot}},
    }
    return {
        "schema": experiments.runs.record.SCHEMA,
        "status": "finished",
        "mode": "train",
        "model": None,
        "trainer": trainer,
        "dataset": plan.dataset,
        "dataset_name": plan.cfg.DATASET.NAME,
        "config": plan.config,
        "backbone": plan.cfg.MODEL.BACKBONE.NAME,
        "backbone_sha256": "0" * 64,
        "num_shots": max(num_shots, 0),
        "seed": seed,
        "subsample_classes": "all",
        "protocol": {
            "final_model": "last_step",
            "selected_on": "none",
            "views": plan.cfg.TRAIN.VIEWS,
            "oracle": False,
            "validation": "min(shots, 4)",
            "validation_images": min(num_shots, 4) * len(made.classnames),
        },
        "split": made.split,
        "total": len(made.labels),
        "correct": int(made.correct.sum()),
        "accuracy": accuracy,
        "macro_f1": accuracy - 1.0,
        "per_class_accuracy": {
            name: 100.0 * float(made.correct[made.labels == label].mean())
            for label, name in enumerate(made.classnames)
            if (made.labels == label).any()
        },
        "zero_shot_accuracy": zero_shot,
        **own[trainer],
        "cfg": as_dict(plan.cfg),
        "versions": experiments.runs.record.versions(),
        "git_commit": "0" * 40,
        "device": "cpu",
        "seconds": {"setup": 0.5, "training_and_evaluation": 2.0, "image_records": 0.01, "total": 3.0},
        "peak_memory_mb": 500.0,
    }


def _accuracy(top: NDArray[Any] | None, labels: NDArray[Any]) -> float:
    assert top is not None
    return 100.0 * float((top[:, 0] == labels).mean())
