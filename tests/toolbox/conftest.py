import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from dassl.modeling import BACKBONE_REGISTRY
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import set_random_seed

PER_CLASS = [12, 3, 7, 20, 5, 9]


@pytest.fixture(scope="session")
def recorded() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "data" / "toolbox" / "toolbox.json"
    records: dict[str, Any] = json.loads(path.read_text())
    return records


@pytest.fixture(scope="session")
def image_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images that the records were made with: noise from a fixed generator."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(5)
    for label, count in enumerate(PER_CLASS):
        for i in range(count):
            pixels = generator.integers(0, 255, (40, 52, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"c{label}_{i:02d}.png")
    return folder


@pytest.fixture(scope="session")
def data(image_dir: Path) -> list[Datum]:
    """56 images of six classes and three domains, in the shuffled order of the records."""
    pairs = [(label, i) for label, count in enumerate(PER_CLASS) for i in range(count)]
    random.Random(4).shuffle(pairs)
    return [
        Datum(
            impath=str(image_dir / f"c{label}_{i:02d}.png"),
            label=label,
            domain=(label * 7 + i) % 3,
            classname=f"name_{label}",
        )
        for label, i in pairs
    ]


def make_cfg(**settings: Any) -> Any:
    cfg = get_cfg_default()
    cfg.VERBOSE = False
    for path, value in settings.items():
        *nodes, key = path.split("__")
        node = cfg
        for name in nodes:
            node = node[name]
        node[key] = value
    return cfg


@pytest.fixture(name="make_cfg")
def make_cfg_fixture() -> Callable[..., Any]:
    """A default configuration with settings given as ``OPTIM__LR=0.1``."""
    return make_cfg


class TinyTrainer(TrainerX):
    """The trainer of the records: a linear layer on a 2 x 2 pooled image."""

    def check_cfg(self, cfg: Any) -> None:
        self.calls = ["check_cfg"]

    def build_data_loader(self) -> None:
        self.calls.append("build_data_loader")
        super().build_data_loader()

    def build_model(self) -> None:
        self.calls.append("build_model")
        torch.manual_seed(0)
        layers = [torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, self.num_classes)]
        self.model = torch.nn.Sequential(*layers).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("net", self.model, self.optim, self.sched)

    def before_epoch(self) -> None:
        self.calls.append(f"before_epoch {self.epoch}")

    def forward_backward(self, batch: Any) -> Any:
        images, labels, _ = self.parse_batch_train(batch)
        loss = torch.nn.functional.cross_entropy(self.model(images), labels)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}


@pytest.fixture(autouse=True)
def tiny_registered(data: list[Datum]) -> Iterator[None]:
    """Register the data sets and the trainer of these tests for one test, and forget what it registers itself."""
    registries = (DATASET_REGISTRY, TRAINER_REGISTRY, BACKBONE_REGISTRY)
    before = [dict(registry._objects) for registry in registries]

    class TinySet(DatasetBase):
        def __init__(self, cfg: Any) -> None:
            super().__init__(train_x=data[:30], train_u=data[30:40], val=data[40:46], test=data[46:])

    class TestOnlySet(DatasetBase):
        def __init__(self, cfg: Any) -> None:
            super().__init__(train_x=data[:30], test=data[46:])

    DATASET_REGISTRY.register(TinySet)
    DATASET_REGISTRY.register(TestOnlySet)
    TRAINER_REGISTRY.register(TinyTrainer)
    yield
    for registry, objects in zip(registries, before, strict=True):
        registry._objects = objects


@pytest.fixture
def tiny_cfg(tmp_path: Path) -> Callable[..., Any]:
    """The configuration of the recorded runs, with changes."""

    def make(folder: str = "run", **changes: Any) -> Any:
        settings: dict[str, Any] = {
            "DATASET__NAME": "TinySet",
            "DATALOADER__NUM_WORKERS": 0,
            "USE_CUDA": False,
            "INPUT__SIZE": (32, 32),
            "TRAINER__NAME": "TinyTrainer",
            "OUTPUT_DIR": str(tmp_path / folder),
            "OPTIM__MAX_EPOCH": 3,
            "OPTIM__LR": 0.05,
            "OPTIM__NAME": "sgd",
            "DATALOADER__TRAIN_X__BATCH_SIZE": 8,
            "DATALOADER__TEST__BATCH_SIZE": 8,
            "OPTIM__LR_SCHEDULER": "cosine",
            "TRAIN__PRINT_FREQ": 2,
        }
        cfg = make_cfg(**{**settings, **changes})
        cfg.freeze()
        return cfg

    return make


@pytest.fixture
def tiny_trainer(tiny_cfg: Callable[..., Any]) -> Callable[..., Any]:
    """A seeded trainer of the recorded runs, with changes to its configuration."""

    def make(folder: str = "run", **changes: Any) -> Any:
        set_random_seed(1)
        return build_trainer(tiny_cfg(folder, **changes))

    return make
