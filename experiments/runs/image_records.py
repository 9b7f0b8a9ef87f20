"""What a run leaves of every image of its final evaluation: predictions.safetensors, attention.safetensors."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import SequentialSampler

from experiments.results.attention import ATTENTION_FILE, AttentionMaps, choose_rows, write_attention
from experiments.results.predictions import PREDICTIONS_FILE, Predictions, write_predictions


def remove_image_records(folder: Path) -> None:
    """Remove what an earlier evaluation left, which would be taken for this one's."""
    for name in (PREDICTIONS_FILE, ATTENTION_FILE):
        (folder / name).unlink(missing_ok=True)


def write_image_records(trainer: Any, log: Any, split: str, folder: Path) -> Predictions | None:
    """Write what the last evaluation made of every image, in place of an earlier one's files.

    Any trainer's predictions are written. More comes from two attributes that a trainer may have, as FewShotTrainer
    does: ``image_outcome``, further columns (N, ...) by name, see ``experiments.results.predictions``; and
    ``attention_of(images, rows)``, maps by the names of ``experiments.results.attention``.

    Args:
        trainer: The trainer after its evaluation.
        log: The ``experiments.runs.record.EvaluationLog`` that listened to it.
        split: "val" or "test", the one evaluated.
        folder: The run folder.

    Returns:
        The predictions; None, after a warning that says why, if the evaluation does not tell which image is which.

    Raises:
        OSError: If a file cannot be written.
    """
    remove_image_records(folder)
    try:
        predictions = _collect(trainer, log, split)
        write_predictions(predictions, folder)
    except ValueError as error:  # a trainer from elsewhere may evaluate as it likes; its accuracy counts all the same
        warnings.warn(f"predictions are not recorded: {error}", stacklevel=2)
        return None
    rows = choose_rows(predictions)
    images = getattr(trainer, f"{split}_loader").dataset
    if maps := trainer.attention_of(images, rows.tolist()) if hasattr(trainer, "attention_of") else {}:
        arrays = {name: values.cpu().float().numpy() for name, values in maps.items()}
        write_attention(AttentionMaps(rows=rows, **arrays), folder)
    return predictions


def _collect(trainer: Any, log: Any, split: str) -> Predictions:
    """Put the columns together.

    Raises:
        ValueError: If images and predictions cannot be brought together.
    """
    loader, own_columns = getattr(trainer, f"{split}_loader"), getattr(trainer, "image_outcome", None)
    items: Sequence[Any] | None = getattr(loader.dataset, "data_source", None)
    if items is None or (own_columns is None and not isinstance(loader.sampler, SequentialSampler)):
        raise ValueError(f"the {split} loader does not say in which order its images come")
    labels = torch.cat(log.labels).int().numpy()
    if labels.tolist() != [item.label for item in items]:
        raise ValueError(f"the labels evaluated are not those of the {len(items)} {split} images in order")
    names = trainer.dm.dataset.lab2cname
    if log.num_outputs != len(names) or sorted(names) != list(range(len(names))):
        raise ValueError(f"the model tells {log.num_outputs} classes apart, the data set has {len(names)}")
    columns = {name: values.numpy() for name, values in (own_columns or {}).items()}
    root, images = _relative([item.impath for item in items], _folder_of(trainer))
    return Predictions(
        labels=labels,
        top5=torch.cat([top.labels for top in log.top]).numpy(),
        top5_probabilities=torch.cat([top.probabilities for top in log.top]).numpy(),
        zero_shot_top5=columns.pop("zero_shot_top5", None),
        zero_shot_probabilities=columns.pop("zero_shot_probabilities", None),
        extras={name: np.ascontiguousarray(values) for name, values in columns.items()},
        classnames=tuple(names[label] for label in range(len(names))),
        images=images,
        root=root,
        split=split,
    )


def _folder_of(trainer: Any) -> str:
    """Return the data sets' folder; of a list of images, which is a file, the folder that its paths are relative to."""
    root = str(trainer.cfg.DATASET.ROOT)
    return str(trainer.dm.dataset.dataset_dir) if Path(root).expanduser().is_file() else root


def _relative(paths: Sequence[str], data_root: str) -> tuple[str, tuple[str, ...]]:
    """Return a folder, the given one if it holds all images or else the one that they have in common, and the rest."""
    absolute = [os.path.abspath(path) for path in paths]  # noqa: PTH100  50,000 of them: five times as fast
    folder = str(Path(data_root).expanduser().absolute())
    if not data_root or not all(path.startswith(folder + os.sep) for path in absolute):
        folder = os.path.commonpath([os.path.dirname(path) for path in absolute])  # noqa: PTH120
    start = len(folder.rstrip(os.sep)) + 1
    return folder, tuple(path[start:].replace(os.sep, "/") for path in absolute)
