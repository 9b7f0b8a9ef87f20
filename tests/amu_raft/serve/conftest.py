"""A small model for each method, and an application that serves it."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image

from amu_raft.model.model_folder import load_model_folder, write_model_folder
from amu_raft.serve.app import build_app
from amu_raft.serve.classify import Classifier
from amu_raft.serve.limits import Limits
from tests.model_folders import small_model

NAMES = ["cat", "Größe", "=1+1", "<b>bold</b>", "dog", "bad\udc80name"]


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The model folder of a method, made once."""
    folders: dict[str, Path] = {}

    def folder(method: str) -> Path:
        if method not in folders:
            folders[method] = tmp_path_factory.mktemp("secret-place") / method
            write_model(method, folders[method])
        return folders[method]

    return folder


def write_model(method: str, folder: Path) -> None:
    about: dict[str, Any] = {
        "metrics": {"accuracy": 80.0, "folder": "/home/me/data"},
        "data": {"root": "/home/me/data"},
    }
    write_model_folder(*small_model(method, names=NAMES, **about), folder)


@pytest.fixture(scope="session")
def classifier_of(folder_of: Callable[[str], Path]) -> Callable[..., Classifier]:
    loaded: dict[str, Any] = {}

    def classifier(method: str = "ZeroshotCLIP", **limits: Any) -> Classifier:
        if method not in loaded:
            loaded[method] = load_model_folder(folder_of(method))
        return Classifier(loaded[method], torch.device("cpu"), Limits(**limits))

    return classifier


@pytest.fixture
def client_of(classifier_of: Callable[..., Classifier]) -> Iterator[Callable[..., TestClient]]:
    """A client of a fresh application; limits by name."""
    with ExitStack() as stack:

        def client(method: str = "ZeroshotCLIP", **limits: Any) -> TestClient:
            app = build_app(classifier_of(method, **limits))
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1:8000"))

        yield client


def picture(kind: str = "PNG", *, seed: int = 0, size: tuple[int, int] = (80, 60)) -> bytes:
    """The bytes of a picture of noise."""
    pixels = np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()
