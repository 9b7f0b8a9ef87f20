"""Two real processes on the CPU, which must do what one process does."""

import contextlib
import datetime
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.data.sharding import ShardedSampler
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, log_to, set_random_seed

PROCESSES = 2
pytestmark = pytest.mark.slow  # the processes take longer to start than to train


class Network(nn.Module):
    """A frozen stem, and a trained head with a buffer."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(12, num_classes)
        self.head.register_buffer("offset", torch.randn(num_classes))

    def forward(self, images: torch.Tensor) -> Any:
        return self.head(self.stem(images)) + self.head.offset


class HeadTrainer(TrainerX):
    """Registers a part and calls the whole, as trainers of prompts do."""

    def build_model(self) -> None:
        torch.manual_seed(distributed.get_rank() if distributed.is_initialized() else 0)  # differs on purpose
        self.model = Network(self.num_classes)
        self.optim = build_optimizer(self.model.head, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("head", self.model.head, self.optim, self.sched)
        set_random_seed(5)
        self.seen: list[int] = []

    def forward_backward(self, batch: Any) -> dict[str, float]:
        images, labels, _ = self.parse_batch_train(batch)
        self.seen += batch["index"].tolist()
        loss = nn.functional.cross_entropy(self.model(images), labels)
        self.optim.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optim.step()
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}


class WrappedTrainer(HeadTrainer):
    """Wraps its model itself, in torch's own class."""

    def build_model(self) -> None:
        super().build_model()
        if distributed.is_initialized():
            self.model.head = self._models["head"]  # type: ignore[assignment]

    def wrap_model(self, model: nn.Module, optim: Any) -> nn.Module:
        return WrappedHead(model)


class WrappedHead(DistributedDataParallel):
    @property
    def offset(self) -> torch.Tensor:
        return self.module.offset  # type: ignore[no-any-return]


class Job(NamedTuple):
    trainer: str
    folder: str
    settings: dict[str, Any]


class Outcome(NamedTuple):
    weights: dict[str, torch.Tensor]
    seen: list[int]
    accuracy: float
    best: float
    printed: str
    folder: str
    files_at_end: list[str]


def run_job(job: Job, data: list[Datum]) -> Outcome:
    """Train and describe what came of it; one process or two make no difference here."""

    class Parts(DatasetBase):
        def __init__(self, cfg: Any) -> None:
            super().__init__(train_x=data[: cfg.DATASET.NUM_LABELED], val=data[40:46], test=data[46:])

    DATASET_REGISTRY.register(Parts, force=True)
    for trainer_class in (HeadTrainer, WrappedTrainer):
        TRAINER_REGISTRY.register(trainer_class, force=True)
    cfg = get_cfg_default()
    settings = {"DATASET.NAME": "Parts", "TRAINER.NAME": job.trainer, "OUTPUT_DIR": job.folder, **job.settings}
    cfg.merge_from_list([part for pair in {**PLAIN, **settings}.items() for part in pair])
    cfg.freeze()
    set_random_seed(1)
    console = io.StringIO()
    with contextlib.redirect_stdout(console), log_to(job.folder):
        trainer = build_trainer(cfg)
        trainer.train()
        trainer._writer = None  # or this evaluation would begin another event file
        accuracy = trainer.test()
    head = trainer._models["head"]
    weights = {key.removeprefix("module."): value.clone() for key, value in head.state_dict().items()}
    names = sorted(str(path.relative_to(job.folder)) for path in Path(job.folder).rglob("*") if path.is_file())
    return Outcome(weights, trainer.seen, accuracy, trainer.best_result, console.getvalue(), job.folder, names)


PLAIN = {
    "DATASET.NUM_LABELED": 30,
    "DATALOADER.NUM_WORKERS": 0,
    "DATALOADER.TRAIN_X.BATCH_SIZE": 8,
    "INPUT.SIZE": (16, 16),
    "USE_CUDA": False,
    "OPTIM.NAME": "sgd",
    "OPTIM.LR": 0.5,
    "OPTIM.MAX_EPOCH": 3,
    "OPTIM.LR_SCHEDULER": "cosine",
    "OPTIM.WARMUP_EPOCH": 1,
    "OPTIM.WARMUP_TYPE": "constant",
    "TEST.COMPUTE_CMAT": True,
}
BEST = {"TEST.FINAL_MODEL": "best_val"}
STOPPED = {"OPTIM.MAX_EPOCH": 2}
SHORT = {"DATASET.NUM_LABELED": 5}
CLASSES = {"DATALOADER.TRAIN_X.SAMPLER": "RandomClassSampler", "DATALOADER.TRAIN_X.N_INS": 4}


def jobs(folder: Path) -> dict[str, Job]:
    named = {
        "plain": Job("HeadTrainer", "plain", {}),
        "best": Job("HeadTrainer", "best", BEST),
        "wrapped": Job("WrappedTrainer", "wrapped", {}),
        "stopped": Job("HeadTrainer", "resumed", STOPPED),
        "resumed": Job("HeadTrainer", "resumed", {}),
        "short": Job("HeadTrainer", "short", SHORT),
        "classes": Job("HeadTrainer", "classes", CLASSES),
    }
    return {name: job._replace(folder=str(folder / job.folder)) for name, job in named.items()}


def work(rank: int, folder: str, data: list[Datum]) -> None:
    """What each of the processes does."""
    torch.set_num_threads(1)
    timeout = datetime.timedelta(seconds=60)
    meeting = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=PROCESSES, timeout=timeout)
    outcomes = {name: run_job(job, data)._asdict() for name, job in jobs(Path(folder)).items()}
    with pytest.raises(ValueError, match=r"batch size \(5\) must be divisible by the number of processes \(2\)"):
        ShardedSampler(torch.utils.data.SequentialSampler(data), 5, drop_last=True)
    torch.save(outcomes, Path(folder) / f"rank{rank}.pt")
    distributed.destroy_process_group()


Both = Callable[[str], tuple[Outcome, Outcome]]


@pytest.fixture(scope="module")
def alone(data: list[Datum], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """The outcomes of the jobs in one process."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        for registry in (DATASET_REGISTRY, TRAINER_REGISTRY):
            patch.setattr(registry, "_objects", dict(registry._objects))
        return {name: run_job(job, data) for name, job in jobs(folder).items()}


@pytest.fixture(scope="module")
def together(data: list[Datum], tmp_path_factory: pytest.TempPathFactory) -> Both:
    """The outcomes of a job in both of two processes."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pytest"])
        spawn: Any = getattr(multiprocessing, "spawn")  # noqa: B009  (torch does not annotate it)
        spawn(work, args=(str(folder), data), nprocs=PROCESSES)
    ranks = [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(PROCESSES)]
    return lambda name: (Outcome(**ranks[0][name]), Outcome(**ranks[1][name]))


@pytest.mark.parametrize("name", ["plain", "best", "wrapped", "resumed", "classes"])
def test_two_processes_train_the_weights_of_one(name: str, alone: dict[str, Outcome], together: Both) -> None:
    first, second = together(name)
    for key, expected in alone[name].weights.items():
        assert torch.equal(first.weights[key], second.weights[key])
        assert torch.allclose(first.weights[key], expected, atol=1e-5)
    assert first.accuracy == second.accuracy == alone[name].accuracy
    assert first.best == second.best == pytest.approx(alone[name].best)


@pytest.mark.parametrize("name", ["plain", "classes"])
def test_batches_are_those_of_one_process(name: str, alone: dict[str, Outcome], together: Both) -> None:
    size, share = 8, 8 // PROCESSES
    parts = [outcome.seen for outcome in together(name)]
    batches = [alone[name].seen[start : start + size] for start in range(0, len(alone[name].seen), size)]
    shares = [[part[start : start + share] for part in parts] for start in range(0, len(parts[0]), share)]
    assert len(batches) >= 6
    assert [[*first, *second] for first, second in shares] == batches


def test_a_short_batch_is_filled_up(alone: dict[str, Outcome], together: Both) -> None:
    first, second = (outcome.seen for outcome in together("short"))
    epochs = [alone["short"].seen[start : start + 5] for start in (0, 5, 10)]
    assert [[*first[i : i + 3], *second[i : i + 3]] for i in (0, 3, 6)] == [[*epoch, epoch[0]] for epoch in epochs]


def test_only_the_main_process_prints_and_logs(alone: dict[str, Outcome], together: Both) -> None:
    def shape(text: str) -> str:
        return re.sub(r"\S*(alone|together)\d+|\d+\.\d+(e-\d+)?", "#", text)

    first, second = together("best")
    assert shape(first.printed) == shape(alone["best"].printed)
    assert second.printed == ""
    assert [re.sub(r"events.*", "events", name) for name in first.files_at_end] == [
        "cmat.pt",
        "head/checkpoint",
        "head/model-best.pth.tar",
        "head/model.pth.tar-3",
        "log.txt",
        "tensorboard/events",
    ]


def test_checkpoints_fit_one_process(together: Both) -> None:
    first, _ = together("wrapped")
    saved = load_checkpoint(f"{first.folder}/head/model.pth.tar-3")["state_dict"]
    assert list(saved) == ["weight", "bias", "offset"]
    assert all(torch.equal(saved[key], value) for key, value in first.weights.items())
