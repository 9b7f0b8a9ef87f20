"""Small entries for the tests of the feature store, and processes that work on one store at once."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amu_raft.features.extraction import Features
from amu_raft.features.store import Entry, FeatureStore

ROWS = 7
FORK = multiprocessing.get_context("fork")  # a process that imports torch anew takes two seconds


def description(name: str = "clip", **changes: Any) -> dict[str, Any]:
    return {
        "feature": name,
        "encoder": {"name": "RN50", "sha256": "ab" * 32},
        "transform": {"resize": 224, "mean": [0.5, 0.4]},
        "images": {"count": ROWS, "identity": "stat", "digest": "cd" * 32},
        **changes,
    }


def numbers(rows: int = ROWS, *, seed: int = 0, width: int = 5) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def compute_of(features: Mapping[str, Tensor], *, batch: int = 3) -> Callable[[list[str]], Iterator[Features]]:
    """Return a computation that yields these tensors in batches, only those that it is asked for."""

    def compute(names: list[str]) -> Iterator[Features]:
        for start in range(0, max(len(features[names[0]]), 1), batch):
            yield {name: features[name][start : start + batch] for name in names}

    return compute


def refuse(names: list[str]) -> Iterator[Features]:
    raise AssertionError(f"{names} computed again")


def put(store: FeatureStore, name: str = "clip", rows: Tensor | None = None, **changes: Any) -> Entry:
    """Store an entry, numbers() if nothing else is given."""
    rows = numbers() if rows is None else rows
    wanted = {name: description(name, **changes)}
    return store.fetch(wanted, len(rows), compute_of({name: rows}))[name]


def files_of(folder: Path) -> list[str]:
    """Everything in a store except lock files."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".lock" not in path.name
    )


def damage(folder: Path) -> None:
    """Change the last byte of an entry's rows."""
    path = folder / "rows.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@contextmanager
def process(target: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """Run a function in a process of its own, which does not outlive the test."""
    child = FORK.Process(target=target, args=arguments)
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join()
