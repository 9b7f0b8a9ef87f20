"""Train on images that a program holds, by the way that train.py goes: as a list of own images."""

import contextlib
import io
import json
import os
import random
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from amu_raft.images.names import CLASSNAMES_FILE
from amu_raft.model.given_images import is_path, rgb_of
from amu_raft.model.model_folder import LoadedModel, load_model_folder

LIST_FILE = "images.jsonl"
# What a fit decides by itself: other images than the given ones, other classes, or a place that is not its own.
OWN_SETTINGS = (
    *("OUTPUT_DIR", "RESUME", "SEED", "TRAINER.NAME", "TEST.SPLIT", "TEST.NO_TEST"),
    *("DATASET.NAME", "DATASET.ROOT", "DATASET.SUBSAMPLE_CLASSES"),
)


@dataclass(frozen=True)
class Fitting:
    """What is to be trained.

    Attributes:
        trainer: Name of a registered trainer.
        images: Paths, Pillow images or arrays.
        numbers: Class of each image, from 0 without a gap.
        names: What the classes are called in sentences, in the order of their numbers.
        seed: Of the run, and of which images are held out.
        validation: Share of each class's images that is held out to calibrate on, rounded down.
        flags: Of train.py, such as {"--backbone": "tiny"}; those that are None are left out.
        settings: Configuration keys with values, such as {"OPTIM.MAX_EPOCH": 20}.
        device: Where to train; None is a GPU if there is one.
    """

    trainer: str
    images: Sequence[Any]
    numbers: Sequence[int]
    names: Sequence[str]
    seed: int
    validation: float
    flags: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device | None = None


def fit_model(fitting: Fitting, *, verbose: bool = False) -> LoadedModel:
    """Train and return the model that the run has left; nothing of the run itself stays.

    Random generators, the number of threads and standard output are afterwards what they were.

    Raises:
        OSError: If an image cannot be read.
        ValueError: At settings that are not accepted.
        RuntimeError: If the run leaves no model that can be used.
    """
    with tempfile.TemporaryDirectory(prefix="amu-raft-fit-") as folder, _process_kept(verbose=verbose):
        held = _hold_out(fitting)
        data = _write_list(fitting, held, Path(folder) / "data")
        run = Path(folder) / "run"
        _train(fitting, data, run)
        if not (run / "model-info.json").is_file():
            raise RuntimeError(f"trainer {fitting.trainer} has left no model; fit(verbose=1) shows what it says")
        device = fitting.device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        loaded = load_model_folder(run, weights=fitting.flags.get("--weights"), device=device)
    return LoadedModel(loaded.model, replace(loaded.info, about=_about(loaded, fitting, held)))


def _train(fitting: Fitting, data: Path, run: Path) -> None:
    from experiments.runs.arguments import build_parser
    from experiments.runs.config import build_plan
    from experiments.runs.session import execute

    argv = ["--trainer", fitting.trainer, "--data", str(data), "--output-dir", str(run), "--seed", str(fitting.seed)]
    for name, value in fitting.flags.items():
        for word in value if isinstance(value, (list, tuple)) else [value]:
            argv += [] if word is None else [f"{name}={word}"]
    # All images are given to train on. The evaluation that ends a run is of held out ones, of no use but its record.
    settings: dict[str, Any] = {"DATASET.NUM_SHOTS": 0, "TEST.SPLIT": "val", "TEST.KEEP_PREDICTIONS": False}
    settings |= {"DATASET.VALIDATION": "full", "TEST.FIGURES": False, "FEATURES.STORE": _store(fitting)}
    _check_settings(fitting.settings)
    if fitting.device is not None:
        settings["USE_CUDA"] = fitting.device.type == "cuda"
    for key, setting in {**settings, **fitting.settings}.items():
        argv += [str(key), str(setting)]
    execute(build_plan(build_parser().parse_args(argv)))


def _check_settings(settings: Mapping[str, Any]) -> None:
    if own := [key for key in settings if key in OWN_SETTINGS]:
        raise ValueError(f"settings cannot have {own[0]}, which fit decides by itself")
    if settings.get("TEST.FINAL_MODEL") == "best_test":
        raise ValueError(
            "TEST.FINAL_MODEL cannot be 'best_test', fit has no test images; accepted are last_step, best_val"
        )


def _store(fitting: Fitting) -> str:
    """Features of images that have no place of their own would stay in the cache for nobody."""
    return "" if all(map(is_path, fitting.images)) else "off"


def _hold_out(fitting: Fitting) -> set[int]:
    """Return the places of the images that nothing is trained on."""
    draw = random.Random(f"held out: {fitting.seed}")
    held: set[int] = set()
    for number in range(len(fitting.names)):
        places = [place for place, found in enumerate(fitting.numbers) if found == number]
        held.update(draw.sample(places, min(int(len(places) * fitting.validation), len(places) - 1)))
    return held


def _write_list(fitting: Fitting, held: set[int], folder: Path) -> Path:
    """Write the list that --data reads, and beside it names and the images that are no files."""
    folder.mkdir()
    seen: set[str] = set()
    rows = []
    for place, (item, number) in enumerate(zip(fitting.images, fitting.numbers, strict=True)):
        path = _file_of(item, place, folder, seen)
        rows.append({"path": path, "label": _key(number), "split": "val" if place in held else "train"})
    # The toolbox wants test images. TEST.SPLIT leaves this one unread, unless nothing could be held out.
    copy = folder / "unread.png"
    rgb_of(fitting.images[0], 0).save(copy)
    rows.append({"path": str(copy), "label": _key(fitting.numbers[0]), "split": "test"})
    quoted = (json.dumps(" ".join(name.split()), ensure_ascii=False).replace('\\"', '""') for name in fitting.names)
    names = "".join(f"{_key(number)},{name}\n" for number, name in enumerate(quoted))
    (folder / CLASSNAMES_FILE).write_text(names, encoding="utf-8")
    written = folder / LIST_FILE
    written.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return written


def _key(number: int) -> str:
    """Return a label of the list; lists sort them as texts."""
    return f"{number:06d}"


def _file_of(item: Any, place: int, folder: Path, seen: set[str]) -> str:
    """Return an image's path, which a list may hold once: others are written or copied."""
    if not is_path(item):
        target = folder / f"{place:06d}.png"
        rgb_of(item, place).save(target)
        return str(target)
    path = os.path.normpath(Path(os.fsdecode(item)).expanduser().absolute())
    if not Path(path).is_file():
        raise FileNotFoundError(f"image {place} does not exist: {os.fsdecode(item)}")
    if path in seen or path != path.strip():
        target = folder / f"{place:06d}{Path(path).suffix.strip()}"
        shutil.copyfile(path, target)
        return str(target)
    seen.add(path)
    return path


def _about(loaded: LoadedModel, fitting: Fitting, held: set[int]) -> dict[str, Any]:
    """Return the record of a fit: without held out images nothing was measured."""
    about = dict(loaded.info.about)
    about["data"] = {
        "dataset_name": "given",
        "images": len(fitting.images),
        "held_out": len(held),
        "seed": fitting.seed,
    }
    if not held:
        about.pop("metrics", None)
    return about


@contextlib.contextmanager
def _process_kept(*, verbose: bool) -> Iterator[None]:
    """Give the process back as it was, and keep what a run prints to itself unless it is wanted."""
    python, numpy_state, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()
    benchmark = torch.backends.cudnn.benchmark
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
            if not verbose:
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
                stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark
