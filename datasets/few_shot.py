"""From a full split to what a run sees: k shots of each class, then base, new or all classes."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from dassl.data.datasets import DatasetBase, Datum
from datasets.few_shot_cache import FewShotCache
from datasets.split_file import Split, by_label, check_split
from datasets.subsampling import SUBSAMPLE_CHOICES, subsample_classes
from datasets.validation import (
    COOP_RULE,
    FULL_SPLIT,
    HELD_OUT,
    HELD_OUT_FULL,
    MAX_VAL_SHOTS,
    check_validation,
    hold_out,
)

if TYPE_CHECKING:
    from yacs.config import CfgNode

NAMED_CLASSES = 10  # class names listed in a warning


class FewShotDataset(DatasetBase):
    """A data set that samples shots and classes from a full split as CoOp does.

    Args:
        cfg: Read for DATASET.NUM_SHOTS (below 1: everything), DATASET.SUBSAMPLE_CLASSES ("all" if absent),
            DATASET.VALIDATION ("coop" if absent) and SEED.
        split: Every image, in the order that sampling depends on.
        source: Where the split comes from, for messages.
        root: Folder that cached paths are relative to.
        cache_dir: Where samples are kept; None keeps none.

    Attributes:
        templates: Sentences with "{}" for the class name.
        prompt_file: File of sentences for each class, below the data set's folder; "" if none is published.
        evaluation_only: The data set has no training images of its own; all it serves for is testing.
        sampled_parts: The parts that shots are drawn from; the others are taken whole.
        validation: How the validation images of this run were taken, as the record says it.

    Raises:
        ValueError: If the split lacks images of a class, or a setting is not accepted.
    """

    templates: tuple[str, ...] = ("a photo of a {}.",)
    prompt_file: ClassVar[str] = ""
    evaluation_only: ClassVar[bool] = False
    sampled_parts: ClassVar[tuple[str, ...]] = ("train", "val")

    def __init__(
        self, cfg: "CfgNode", split: Split, *, source: str | Path, root: Path, cache_dir: Path | None = None
    ) -> None:
        subsample, validation = check_subsample(cfg), check_validation(cfg)
        check_split(split, source)
        shots = cfg.DATASET.NUM_SHOTS
        train, val = self.sample_shots(split, shots, seed=cfg.SEED, root=root, cache_dir=cache_dir)
        val = self._validation_images(split, train, val, shots=shots, seed=cfg.SEED, choice=validation)
        shared = val is split.test
        train_x, val, test = map(list, subsample_classes(train, val, split.test, subsample=subsample))
        super().__init__(train_x=train_x, val=test if shared else val, test=test)

    def _validation_images(
        self, split: Split, train: list[Datum], sampled: list[Datum], *, shots: int, seed: int, choice: str
    ) -> list[Datum]:
        """Return what DATASET.VALIDATION asks for; without a validation split, images that are not trained on.

        Args:
            split: Every image.
            train: The training images of this run.
            sampled: The validation images of CoOp's rule. They are drawn whatever the choice, so that a seed's samples
                are the same.
            shots: Training images per class; below 1 all are trained on, and none is left to hold out.
            seed: Of the run.
            choice: DATASET.VALIDATION.
        """
        self.validation = COOP_RULE if choice == "coop" and shots >= 1 else FULL_SPLIT
        if split.val and split.val is not split.test:
            return sampled if choice == "coop" else split.val
        per_class = min(shots, MAX_VAL_SHOTS) if choice == "coop" else HELD_OUT_FULL
        held = hold_out(split.train, train, per_class, seed=seed) if shots >= 1 else []
        if held:
            self.validation = HELD_OUT
        return held or split.val

    @property
    def prompt_path(self) -> Path:
        """Where the file of sentences for each class is looked for, whether it exists or not."""
        return Path(self.dataset_dir) / self.prompt_file

    @property
    def class_keys(self) -> list[str]:
        """One key per label, in label order, that no two classes share: here the class names."""
        return self.classnames

    def sample_shots(
        self, split: Split, num_shots: int, *, seed: int, root: Path, cache_dir: Path | None = None
    ) -> tuple[list[Datum], list[Datum]]:
        """Sample the parts per class from Python's global ``random``, or take the sample that was kept.

        The order, train before val, matters: other programs that follow CoOp draw the same images for the same seed.

        Returns:
            The train items and the val items.
        """
        if num_shots < 1:
            return split.train, split.val
        warn_of_short_classes(split.train, num_shots)
        sources: dict[str, list[Datum]] = {name: getattr(split, name) for name in self.sampled_parts}
        shots = {"train": num_shots, "val": min(num_shots, MAX_VAL_SHOTS)}
        cache = None if cache_dir is None else FewShotCache(cache_dir, root, sources, shots, seed)
        sample = cache.load() if cache else None
        if sample is None:
            sample = {name: self._draw_shots(items, shots[name]) for name, items in sources.items()}
            if cache:
                cache.save(sample)
        return sample["train"], sample.get("val", split.val)

    def _draw_shots(self, items: list[Datum], num_shots: int) -> list[Datum]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # short classes were named already, cached sample or not
            return cast("list[Datum]", self.generate_fewshot_dataset(items, num_shots=num_shots))


def check_subsample(cfg: "CfgNode") -> str:
    """Return DATASET.SUBSAMPLE_CLASSES, "all" where the configuration has no such key.

    Raises:
        ValueError: If it is not one of the accepted choices.
    """
    subsample = str(getattr(cfg.DATASET, "SUBSAMPLE_CLASSES", "all"))
    if subsample not in SUBSAMPLE_CHOICES:
        raise ValueError(f"DATASET.SUBSAMPLE_CLASSES is {subsample!r}; accepted are {', '.join(SUBSAMPLE_CHOICES)}")
    return subsample


def warn_of_short_classes(train: list[Datum], num_shots: int) -> None:
    """Warn once, naming the classes that have fewer training images than shots and are taken whole."""
    short = [items[0].classname for items in by_label(train).values() if len(items) < num_shots]
    if short:
        more = f" and {len(short) - NAMED_CLASSES} more" if len(short) > NAMED_CLASSES else ""
        warnings.warn(
            f"fewer than {num_shots} training images, all of them taken: {', '.join(short[:NAMED_CLASSES])}{more}",
            stacklevel=2,
        )
