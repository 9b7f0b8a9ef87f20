from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.backbones.text_classifier import build_text_classifier

Train = Callable[..., Any]


def test_logits_are_scaled_similarities(build: Train) -> None:
    trainer = build("ZeroshotCLIP")
    images = next(iter(trainer.test_loader))["img"]
    text = build_text_classifier(
        trainer.backbone, [[f"a photo of a {name}."] for name in ("bear", "red fox", "sea lion")]
    )
    expected = trainer.backbone.logit_scale * unit_rows(trainer.backbone.encode_image(images)) @ text
    torch.testing.assert_close(trainer.model_inference(images), expected)


def test_nothing_is_trained_and_no_checkpoint_is_written(finished: Train) -> None:
    run = finished("ZeroshotCLIP")
    assert "epoch [" not in run.out and not list(run.folder.rglob("*.pth.tar*"))
    assert run.result["protocol"]["selected_on"] == "none"


def test_shots_and_seed_do_not_matter(finished: Train, train_main: Train) -> None:
    other = train_main("ZeroshotCLIP", "--seed", "5", "DATASET.NUM_SHOTS", "4")
    assert other.result["accuracy"] == finished("ZeroshotCLIP").result["accuracy"]
    assert (other.result["num_shots"], other.result["seed"]) == (4, 5)


def test_shots_are_zero_where_none_are_given(train_main: Train) -> None:
    assert train_main("ZeroshotCLIP", small=False).result["num_shots"] == 0


def test_evaluation_needs_no_model(train_main: Train, finished: Train) -> None:
    run = train_main("ZeroshotCLIP", "--eval-only")
    assert run.result["accuracy"] == finished("ZeroshotCLIP").result["accuracy"]


def test_odd_images(train_main: Train, tmp_path: Path) -> None:
    """Every mode and shape that Pillow reads gets three channels and the right size."""
    from PIL import Image

    pictures = {
        "grey.png": Image.new("L", (7, 300), 30),
        "alpha.png": Image.new("RGBA", (1, 1), (9, 9, 9, 0)),
        "bits.png": Image.new("1", (640, 2)),
        "palette.gif": Image.new("P", (500, 3)),
        "sixteen.tif": Image.new("I;16", (30, 20), 40000),
        "print.jpg": Image.new("CMYK", (30, 40)),
        "both.PNG": Image.new("LA", (40, 40)),
        "large.bmp": Image.new("RGB", (700, 500), (200, 10, 10)),
    }
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for file, picture in pictures.items():
            picture.save(tmp_path / "data" / name / file)
    run = train_main("ZeroshotCLIP", root=tmp_path / "data")
    assert run.result["total"] == 2 * 3
