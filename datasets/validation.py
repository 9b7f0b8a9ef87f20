"""The images that settings are chosen on: which they are, how many, and where they come from."""

import os
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dassl.data.datasets import Datum
from datasets.split_file import by_label

if TYPE_CHECKING:
    from yacs.config import CfgNode

VALIDATION_CHOICES = ("coop", "full")
MAX_VAL_SHOTS = 4  # CoOp's rule: validation gets as many images per class as training, but at most four
HELD_OUT_FULL = 50  # images per class that "full" holds out: as many as ImageNet's official validation part has
COOP_RULE, FULL_SPLIT, HELD_OUT, NO_IMAGES = f"min(shots, {MAX_VAL_SHOTS})", "full", "held_out", "none"


def check_validation(cfg: "CfgNode") -> str:
    """Return DATASET.VALIDATION, "coop" where the configuration has no such key.

    Raises:
        ValueError: If it is not one of the accepted choices.
    """
    choice = str(getattr(cfg.DATASET, "VALIDATION", VALIDATION_CHOICES[0]))
    if choice not in VALIDATION_CHOICES:
        raise ValueError(f"DATASET.VALIDATION is {choice!r}; accepted are {', '.join(VALIDATION_CHOICES)}")
    return choice


def hold_out(pool: Sequence[Datum], sample: Sequence[Datum], per_class: int, *, seed: int) -> list[Datum]:
    """Draw validation images from the training images that the few-shot sample left over.

    Each class has a generator of its own, so the global ones stay as they are: the few-shot sample of a seed, and
    whatever is drawn after it, are the same with and without this.

    Args:
        pool: Every training image.
        sample: The images that are trained on; none of them is drawn.
        per_class: How many of each class; fewer where fewer are left.
        seed: Of the run.

    Returns:
        Classes in the pool's order; empty if nothing is left.
    """
    used = {item.impath for item in sample}
    held: list[Datum] = []
    for label, items in by_label(pool).items():
        left = [item for item in items if item.impath not in used]
        held += random.Random(f"held out: {seed} {label}").sample(left, min(per_class, len(left)))
    return held


def has_own_validation(dataset: Any) -> bool:
    """Tell whether there are validation images and none of them is a test image.

    ImageNet in CoOp's protocol uses one set as both; choosing on it would be choosing on the test set.

    Args:
        dataset: A toolbox data set, whoever wrote it.
    """
    val = {item.impath for item in dataset.val or ()}
    if not val or not val.isdisjoint(item.impath for item in dataset.test):
        return False  # without asking the file system about 100,000 paths, as ImageNet's validation set would
    resolved = set(map(os.path.realpath, val))
    return resolved.isdisjoint(os.path.realpath(item.impath) for item in dataset.test)


def validation_facts(dataset: Any, num_shots: int) -> dict[str, Any]:
    """Say for the record which validation images a run has.

    Args:
        dataset: A toolbox data set. Ours say how theirs were taken; of a stranger's the number of images tells it.
        num_shots: DATASET.NUM_SHOTS.

    Returns:
        "validation": "min(shots, 4)", "full", "held_out" or "none"; "validation_images": their number.
    """
    if not has_own_validation(dataset):
        return {"validation": NO_IMAGES, "validation_images": 0}
    count = len(dataset.val)
    few = num_shots >= 1 and count <= dataset.num_classes * min(num_shots, MAX_VAL_SHOTS)
    taken = getattr(dataset, "validation", COOP_RULE if few else FULL_SPLIT)
    return {"validation": taken, "validation_images": count}
