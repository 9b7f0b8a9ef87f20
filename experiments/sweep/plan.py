"""From the axes to the cells: one per run, in the order in which they are done, each with train.py's command line."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from experiments.runs.config import (
    EMBEDDED_CONFIG,
    FULL_SIZE_CONFIG,
    check_trainer,
    config_stem,
    is_method,
    trainer_folder,
    trains_anything,
)
from experiments.sweep.axes import TRANSFER_SOURCE, Axes, dataset_file
from experiments.sweep.cell import Cell

NO_CONFIG = "default"  # of a trainer that has no files


def plan_cells(axes: Axes) -> list[Cell]:
    """Return every run of a sweep, models before what evaluates them.

    A trainer that trains nothing has one run per data set and backbone: no shots, the first seed.

    Raises:
        ValueError: At an unknown trainer, or a backbone that a trainer has no configuration for.
        ImportError: If a module to import is not there.
    """
    import datasets  # noqa: F401  registers the data sets
    import trainers  # noqa: F401  registers the trainers
    from trainers.base.registering import import_strangers

    import_strangers(axes.modules)
    for trainer in axes.trainers:
        check_trainer(trainer)
    jobs = {"grid": _grid, "transfer": _transfer, "base2new": _base_to_new, "evaluate": _evaluate}
    cells = {cell.folder: cell for cell in jobs[axes.job](axes)}
    return sorted(cells.values(), key=lambda cell: cell.model is not None)  # keeps the order otherwise


def _grid(axes: Axes) -> Iterator[Cell]:
    for place in _places(axes, axes.datasets):
        source = source_of(place.dataset) if place.trains else None
        if source is None:
            yield place.cell(axes.output_dir)
        else:
            trained = place.on(source).cell(axes.output_dir)
            yield trained
            yield place.cell(axes.output_dir, model=trained.folder)


def _transfer(axes: Axes) -> Iterator[Cell]:
    """Train on ImageNet, then evaluate with the configuration of the model, whatever the target's own would be."""
    for place in _places(axes, [TRANSFER_SOURCE]):
        trained = place.cell(axes.output_dir)
        yield trained
        model = trained.folder if place.trains else None
        for target in axes.datasets:
            if target != TRANSFER_SOURCE:
                yield place.on(target).cell(_beside(axes, "xd"), model=model, evaluate=True)


def _base_to_new(axes: Axes) -> Iterator[Cell]:
    output = _beside(axes, "base2new")
    for place in _places(axes, axes.datasets):
        if source_of(place.dataset):
            raise ValueError(
                f"{place.dataset} is only evaluated, never trained on; --job base2new takes another data set"
            )
        base = place.cell(output / "train_base", subset="base")
        yield base
        model = base.folder if place.trains else None
        yield place.cell(output / "test_new", subset="new", model=model, evaluate=True)


def _evaluate(axes: Axes) -> Iterator[Cell]:
    for place in _places(axes, axes.datasets):
        model = None
        if place.trains:
            model = place.on(source_of(place.dataset) or place.dataset).cell(axes.output_dir).folder
        yield place.cell(_beside(axes, "eval"), model=model, evaluate=True)


def _beside(axes: Axes, what: str) -> Path:
    return axes.output_dir.with_name(f"{axes.output_dir.name}_{what}")


def _places(axes: Axes, datasets: Any) -> Iterator["_Place"]:
    for dataset in datasets:
        for backbone in axes.backbones or (default_backbone(dataset),):
            for trainer in axes.trainers:
                trains = trains_anything(trainer)
                for num_shots in axes.shots if trains else (0,):
                    for seed in axes.seeds if trains else axes.seeds[:1]:
                        yield _Place(axes, dataset, backbone, trainer, num_shots, seed)


class _Place:
    """One point of the axes."""

    def __init__(self, axes: Axes, dataset: str, backbone: str, trainer: str, num_shots: int, seed: int) -> None:
        self.axes, self.dataset, self.backbone = axes, dataset, backbone
        self.row = (trainer, num_shots, seed)
        self.trains = trains_anything(trainer)
        self.has_recipe = is_method(trainer)  # which serves for any backbone

    def on(self, dataset: str) -> "_Place":
        """Return the same point on another data set."""
        return _Place(self.axes, dataset, self.backbone, *self.row)

    def cell(self, output: Path, *, subset: str = "all", model: Path | None = None, evaluate: bool = False) -> Cell:
        """Return the run at this point, below a folder: its training, or an evaluation."""
        axes, (trainer, num_shots, seed) = self.axes, self.row
        file, stem = config_file(trainer, self.backbone), Path(self.dataset).stem
        config = file.stem if file else config_stem(self.backbone) if self.has_recipe else NO_CONFIG
        if subset == "all":
            folder = output / stem / trainer / f"{config}_{num_shots}shots" / f"seed{seed}"
        else:
            folder = output / stem / f"shots_{num_shots}" / trainer / config / f"seed{seed}"
        flags = {
            "--root": axes.root,
            "--seed": seed,
            "--trainer": trainer,
            "--dataset-config-file": dataset_file(self.dataset),
            "--config-file": file or "",
            "--backbone": backbone_name(self.backbone) if self.has_recipe and not file else "",
            "--output-dir": folder,
        }
        words = [str(word) for flag, value in flags.items() if str(value) for word in (flag, value)]
        words += ["--eval-only"] if model or evaluate else []
        words += ["--model-dir", str(model)] if model else []
        words += ["DATASET.NUM_SHOTS", str(num_shots)]
        words += ["DATASET.SUBSAMPLE_CLASSES", subset] if subset != "all" else []
        words += axes.overrides
        return Cell(trainer, stem, config, num_shots, seed, subset, folder, tuple(words), model, axes.modules)


@cache
def config_file(trainer: str, backbone: str) -> Path | None:
    """Return the YAML of a trainer for a backbone, None for a trainer without files.

    Raises:
        ValueError: If it has files, but none for the backbone.
    """
    folder = trainer_folder(trainer)
    if folder is None:
        return None
    file: Path = folder / f"{config_stem(backbone)}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        reason = why_not(trainer, backbone)
        raise ValueError(f"no configuration of {trainer} for backbone {backbone!r}{reason}; known are {known}")
    return file


def why_not(trainer: str, backbone: str) -> str:
    """Return what a method has against a backbone, to be appended to a message; "" if nothing."""
    from dassl.engine import TRAINER_REGISTRY

    kind = getattr(TRAINER_REGISTRY.get(trainer), "kind", None)
    if kind is None:
        return ""
    try:
        kind.check(kind.Settings(), kind.recipe, backbone_name(backbone))
    except ValueError as error:
        return f": {error}"
    return ""


def backbone_name(given: str) -> str:
    """Return the name of a CLIP that is given by it or as configurations are named: vit_b16 is ViT-B/16."""
    from amu_raft.backbones.clip_backbone import available_backbones

    return next((name for name in available_backbones() if config_stem(name) == config_stem(given)), given)


@cache
def default_backbone(dataset: str) -> str:
    """Return tiny for a data set that is generated here, else rn50."""
    from dassl.data.datasets import DATASET_REGISTRY
    from datasets.generated_images import GeneratedDataset

    content = yaml.safe_load(dataset_file(dataset).read_text(encoding="utf-8")) or {}
    name = content.get("DATASET", {}).get("NAME", "")
    known = name in DATASET_REGISTRY.registered_names()
    generated = known and issubclass(DATASET_REGISTRY.get(name), GeneratedDataset)
    return EMBEDDED_CONFIG if generated else FULL_SIZE_CONFIG


@cache
def source_of(dataset: str) -> str | None:
    """Return the data set that the models for an evaluation-only one are trained on; None for the others."""
    from datasets.catalog import read_catalog

    catalog = read_catalog()
    sources = {entry.stem: catalog[entry.trained_on].stem for entry in catalog.values() if entry.trained_on}
    return sources.get(Path(dataset).stem)
