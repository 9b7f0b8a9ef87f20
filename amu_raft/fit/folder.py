"""Fit a method to a folder of own images: list, draw, fit, evaluate once, write."""

import random
import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from amu_raft.backbones.clip_backbone import check_backbone
from amu_raft.backbones.text_classifier import fill_templates, read_prompt_file
from amu_raft.fit.fitting import BATCH, Fitting, Given, fit_model
from amu_raft.fit.settings import read_settings
from amu_raft.images.listing import Classes
from amu_raft.images.own_images import PROMPT_FILE, TEMPLATES, OwnImages, folder_of, read_own_images
from amu_raft.images.readable import check_readable
from amu_raft.methods import get_method
from amu_raft.model.model_folder import LoadedModel, write_model_folder
from amu_raft.model.model_info import INFO_FILE
from amu_raft.prediction.session import choose_device, score_images
from amu_raft.strangers import import_flags
from amu_raft.wording import plural, shortened


class Accuracy(NamedTuple):
    """How many of the test images are classified right.

    Attributes:
        total: Images.
        adapted: Right by the model.
        zero_shot: Right by CLIP as it is.
    """

    total: int
    adapted: int
    zero_shot: int

    def record(self) -> dict[str, Any]:
        """Return what a model folder holds of it; shares in percent."""
        shares = {"accuracy": self.adapted, "zero_shot_accuracy": self.zero_shot}
        about = {"split": "test", "total": self.total, "correct": self.adapted}
        return {**about, **{name: 100 * right / self.total for name, right in shares.items()}}


def fit_folder(
    source: Path,
    output: Path,
    *,
    method: str,
    backbone: str,
    shots: int | None,
    seed: int,
    templates: Sequence[str] | None,
    weights: str | None,
    device: str | None,
    settings: Mapping[str, Any],
    modules: Sequence[str] = (),
) -> LoadedModel:
    """Train on the training images, choose and calibrate on those for validation, evaluate on the test images, write.

    Args:
        source: A folder or a list of images.
        output: The model folder.
        method: Name of a registered method.
        backbone: Name of a CLIP, or the path of a weight file.
        shots: Training images per class that are drawn; None for all.
        seed: Of the draw and of the fit.
        templates: Sentences with "{}" for the class; None for the images' own file of sentences, or the default ones.
        weights: Folder of official weight files, or one file.
        device: Where to train; None is a GPU if there is one.
        settings: By short name or configuration key.
        modules: Modules of the user's that were imported for it, which later commands need too.

    Raises:
        OSError: If an image cannot be read, or the model cannot be written.
        ValueError: If something does not fit together.
        FloatingPointError: If training fails.
    """
    kind = get_method(method)
    chosen = read_settings(kind, backbone, settings)
    check_backbone(backbone)
    where = choose_device(device)
    own = read_own_images(source)
    names = [" ".join(name.split()) for name in own.names]
    prompts = prompts_of(source, names, templates)
    trained = own.parts["train"] if shots is None else drawn(own.parts["train"], shots, seed)
    parts = {name: _given(own, classes) for name, classes in {**own.parts, "train": trained}.items()}
    check_readable((path for part in parts.values() for path in part.images), source)
    make_folder(output)
    if own.division:
        print(f"{source}: {own.division}")
    print(_described(own, parts, shots, seed))
    loaded = fit_model(
        Fitting(
            kind=kind,
            settings=chosen,
            training=parts["train"],
            validation=parts["val"] if parts["val"].images else None,
            names=names,
            keys=own.classes,
            prompts=prompts,
            backbone=backbone,
            seed=seed,
            weights=weights,
            device=where,
            data={"dataset_name": source.name, "num_shots": shots or 0, "division": own.division},
            say=print,
        )
    )
    loaded = _evaluated(loaded, parts["test"])
    write_model_folder(loaded.model, loaded.info, output)
    words = [*import_flags(modules), "--model", str(output)]
    print(f"Model is saved for use: amu-raft predict {shlex.join(words)} IMAGE")
    return loaded


def prompts_of(source: Path, names: Sequence[str], templates: Sequence[str] | None) -> list[list[str]]:
    """Return the sentences of each class.

    Raises:
        ValueError: If a template has no place for the class, or the file of sentences does not fit.
    """
    file = folder_of(source) / PROMPT_FILE
    if templates or not file.is_file():
        return fill_templates(names, templates or TEMPLATES)
    print(f"Sentences of each class: {file}")
    return read_prompt_file(file, names)


def drawn(classes: Classes, shots: int, seed: int) -> Classes:
    """Return as many images of each class, in their order; a class that has fewer is taken whole, with a warning.

    Each class has a generator of its own, seeded by the seed and its name: another class more leaves them as they are.
    """
    if short := [name for name, images in classes.items() if len(images) < shots]:
        warnings.warn(f"fewer than {shots} training images, all of them taken: {shortened(short, 10)}", stacklevel=2)
    found = {}
    for name, images in classes.items():
        draw = random.Random(f"shots: {seed} {name}")
        found[name] = [images[place] for place in sorted(draw.sample(range(len(images)), min(shots, len(images))))]
    return found


def make_folder(output: Path) -> None:
    """Make the model folder before anything is trained.

    Raises:
        OSError: If that cannot be done.
        ValueError: If it is the run folder of train.py, whose record would tell of another model, or holds other things
            and no model.
    """
    if (output / "settings.json").is_file():
        raise ValueError(f"--output {output} is a run folder of train.py; give another folder")
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"--output {output} is no folder")
    output.mkdir(parents=True, exist_ok=True)
    there = sorted(path.name for path in output.iterdir())
    if there and INFO_FILE not in there:
        raise ValueError(f"--output {output} holds other things, such as {there[0]!r}; give a new or an empty folder")


def _given(own: OwnImages, classes: Classes) -> Given:
    numbers = {name: number for number, name in enumerate(own.classes)}
    pairs = [(str(path), numbers[name]) for name, paths in classes.items() for path in paths]
    return Given([path for path, _ in pairs], [number for _, number in pairs])


def _described(own: OwnImages, parts: Mapping[str, Given], shots: int | None, seed: int) -> str:
    draw = f" ({plural(shots, 'shot')} drawn by seed {seed})" if shots else ""
    training, held, test = (len(parts[name].images) for name in ("train", "val", "test"))
    return (
        f"{len(own.classes)} classes: {plural(training, 'training image')}{draw}, "
        f"{held} to choose and calibrate on, {test} to test with"
    )


def _evaluated(loaded: LoadedModel, test: Given) -> LoadedModel:
    """Evaluate once, say so, and add it to the model's record."""
    if not test.images:
        print("not evaluated: no test images")
        return loaded
    found = evaluate(loaded, test)
    record = found.record()
    print(
        f"test: {found.adapted} of {plural(found.total, 'image')} right, accuracy {record['accuracy']:.1f} % "
        f"(zero-shot CLIP {record['zero_shot_accuracy']:.1f} %)"
    )
    about = loaded.info.about
    held = {"validation": about["metrics"]} if "metrics" in about else {}
    return LoadedModel(loaded.model, replace(loaded.info, about={**about, "metrics": record, **held}))


def evaluate(loaded: LoadedModel, given: Given) -> Accuracy:
    """Classify pictures as ``amu-raft predict`` does and count the right ones.

    Raises:
        OSError: If one, which the message names, cannot be read.
        ArithmeticError: If scores are no finite numbers.
    """
    adapted = zero_shot = 0
    labels = torch.tensor(given.numbers).split(BATCH)
    for scores, numbers in zip(score_images(loaded, given.images, batch_size=BATCH), labels, strict=True):
        for logits in (scores.adapted, scores.zero_shot):
            if not torch.isfinite(logits).all():
                raise ArithmeticError("the model's scores of the test images are no finite numbers")
        adapted += int((scores.adapted.argmax(dim=1).cpu() == numbers).sum())
        zero_shot += int((scores.zero_shot.argmax(dim=1).cpu() == numbers).sum())
    return Accuracy(len(given.images), adapted, zero_shot)
