"""A small repository in the CoOp manner, ``project/``, and what its trainers need."""

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from amu_raft.backbones.state_files import bundled_weights
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY

HERE = Path(__file__).parent
PROJECT = HERE / "project"
REPOSITORY = HERE.parents[2]
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "white": (230, 230, 230)}
COLOURS |= {"black": (15, 15, 15), "dark_yellow": (150, 140, 20), "grey": (120, 120, 120)}
PARTS = {"train": 6, "val": 2, "test": 3}


@pytest.fixture(scope="session")
def project() -> Iterator[Any]:
    """The repository's train module, imported as its own command line would, and forgotten again afterwards."""
    names = ("train", "methods", "toysets")

    def forget() -> dict[str, Any]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in names}

    others, registries = forget(), [DATASET_REGISTRY, TRAINER_REGISTRY]
    before = [dict(registry._objects) for registry in registries]
    sys.path.insert(0, str(PROJECT))
    try:
        train = importlib.import_module("train")
        own = [dict(registry._objects) for registry in registries]
        train.registered = [  # type: ignore[attr-defined]
            {name: new[name] for name in new if name not in old} for new, old in zip(own, before, strict=True)
        ]
        yield train
    finally:
        sys.path.remove(str(PROJECT))
        forget()
        sys.modules.update(others)
        for registry, objects in zip(registries, before, strict=True):
            registry._objects = objects


@pytest.fixture
def registered(project: Any) -> Iterator[None]:
    """The repository's data sets and trainers are registered during one test."""
    registries = [DATASET_REGISTRY, TRAINER_REGISTRY]
    before = [dict(registry._objects) for registry in registries]
    for registry, objects in zip(registries, project.registered, strict=True):
        registry._objects = {**registry._objects, **objects}
    yield
    for registry, old in zip(registries, before, strict=True):
        registry._objects = old


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with seven classes of coloured images. Few-shot caches appear in it as runs sample."""
    root = tmp_path_factory.mktemp("coop_root")
    generator = np.random.default_rng(0)
    split: dict[str, list[Any]] = {part: [] for part in PARTS}
    for label, (name, colour) in enumerate(COLOURS.items()):
        for part, count in PARTS.items():
            for number in range(count):
                path = root / "blobs" / "images" / name / f"{part}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.clip(np.asarray(colour) + generator.normal(0, 25, (72, 80, 3)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(path)
                split[part].append([f"{name}/{path.name}", label, name])
    (root / "blobs" / "split_zhou_Blobs.json").write_text(json.dumps(split))
    return root


@pytest.fixture(scope="session")
def arguments(blobs: Path) -> Callable[..., list[str]]:
    """The command line of a run: ``arguments(trainer, folder, "--resume", DIR, OPTIM__MAX_EPOCH=2)``."""

    def make(trainer: str, folder: Path | str, *flags: str, **keys: Any) -> list[str]:
        files = ["--dataset-config-file", "configs/blobs.yaml", "--config-file", "configs/tiny_ep4.yaml"]
        files[1::2] = [str(PROJECT / name) for name in files[1::2]]
        fixed = ["--root", str(blobs), "--trainer", trainer, "--output-dir", str(folder), "--seed", "1", *files, *flags]
        settings = {"MODEL__BACKBONE__PATH": str(bundled_weights("tiny_clip.pt")), "DATASET__NUM_SHOTS": 2, **keys}
        return fixed + [text for key, value in settings.items() for text in (key.replace("__", "."), str(value))]

    return make


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a process that runs the repository: its own folder first, then this one for the helpers."""
    paths = [str(REPOSITORY), str(REPOSITORY / "toolbox")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def rates(text: str) -> dict[int, list[str]]:
    """The learning rates printed in each epoch."""
    found: dict[int, list[str]] = {}
    for epoch, rate in re.findall(r"^epoch \[(\d+)/\d+\].* lr (\S+) eta", text, flags=re.MULTILINE):
        found.setdefault(int(epoch), []).append(rate)
    return found


@pytest.fixture(name="rates")
def rates_fixture() -> Callable[[str], dict[int, list[str]]]:
    return rates


def accuracies(text: str) -> list[float]:
    """The accuracies printed, in order."""
    return [float(figure) for figure in re.findall(r"^\* accuracy: (\S+)%$", text, flags=re.MULTILINE)]


@pytest.fixture(name="accuracies")
def accuracies_fixture() -> Callable[[str], list[float]]:
    return accuracies
