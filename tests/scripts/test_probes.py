"""The probes beside the methods: what they compute, and that they share the store."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.backbones.clip_backbone import CLIPBackbone

Train = Callable[..., Any]
CONFIG = str(Path(__file__).parents[2] / "configs" / "trainers" / "ZeroshotCLIP" / "tiny.yaml")


@pytest.fixture
def probes(trainers_of_this_test: None) -> Any:
    """The module, which registers its trainers."""
    return importlib.import_module("scripts.probes")


@pytest.fixture
def run_probe(probes: Any, train_main: Train) -> Train:
    return lambda trainer, *keys, **folders: train_main(trainer, "--config-file", CONFIG, *keys, **folders)


@pytest.fixture
def images_seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the images that CLIP encodes."""
    seen: list[int] = []
    encode_image = CLIPBackbone.encode_image

    def counting(self: CLIPBackbone, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return encode_image(self, images)

    monkeypatch.setattr(CLIPBackbone, "encode_image", counting)
    return seen


def test_the_linear_probe_shares_clips_vectors(
    probes: Any, run_probe: Train, train_main: Train, images_seen: list[int], tmp_path: Path
) -> None:
    store = ("FEATURES.STORE", str(tmp_path / "store"))
    first = run_probe("LinearProbe", *store)
    assert first.status == 0, first.err
    assert set(first.result["branches"]) == {"zero_shot", "probe"}
    assert first.result["accuracy"] == first.result["branches"]["probe"]
    assert first.result["inverse_regularization"] in probes.INVERSE_REGULARIZATION
    assert sum(images_seen) == 6 + 6 + 9  # training and validation images as the test transform makes them
    images_seen.clear()
    again = run_probe("LinearProbe", *store)
    assert not images_seen
    plain = train_main("ZeroshotCLIP", *store)
    assert images_seen == [8]  # by which its model folder is checked
    assert again.result["branches"] == first.result["branches"]
    assert plain.result["accuracy"] == first.result["zero_shot_accuracy"]


def test_the_pixel_probe_sees_grey_pixels(
    probes: Any, run_probe: Train, images_seen: list[int], tmp_path: Path
) -> None:
    store = ("FEATURES.STORE", str(tmp_path / "store"))
    first = run_probe("PixelProbe", *store)
    assert first.status == 0, first.err
    assert first.result["accuracy"] > 100 / 3
    width = probes.PIXEL_GRID**2
    assert sorted(shapes_of(tmp_path / "store", "pixels")) == [
        [6, width],
        [6, width],
        [9, width],
    ]
    images_seen.clear()
    again = run_probe("PixelProbe", *store)
    assert not images_seen and again.result["branches"] == first.result["branches"]


def shapes_of(store: Path, feature: str) -> list[list[int]]:
    manifests = [json.loads(path.read_text()) for path in store.glob("??/*/manifest.json")]
    return [manifest["shape"] for manifest in manifests if manifest["description"]["feature"] == feature]


def test_a_probe_without_validation_images(run_probe: Train, make_images: Any, tmp_path: Path) -> None:
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, {"a": 2, "b": 2})  # two shots, so none is left to be held out
    run = run_probe("LinearProbe", root=tmp_path / "data")
    assert run.status == 1 and run.error == "error: encode val: no images to encode"
