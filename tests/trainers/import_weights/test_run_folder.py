import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.backbones.state_files import bundled_weights, sha256_of
from experiments.runs.settings import read_settings

Import = Any
Train = Callable[..., Any]
CLASSES = ["bear", "red_fox", "sea lion"]


def test_the_run_folder_says_what_is_known(imported: Import, adapter_file: Any) -> None:
    status, out, _ = imported(adapter_file(), "AMU", "--seed", "3", "DATASET.NUM_SHOTS", "16")
    assert status == 0 and "adapter of 3 classes on 192 features" in out
    flags = f"--model-dir {imported.folder} --dataset-config-file image_folder --root {imported.image_root}"
    assert f"evaluate it by: python train.py --trainer AMU --eval-only {flags}\n" in out
    settings = read_settings(imported.folder)
    assert settings is not None
    known = {key: settings[key] for key in ("TRAINER.NAME", "SEED", "DATASET.NUM_SHOTS", "DATASET.NAME")}
    assert known == {"TRAINER.NAME": "AMU", "SEED": 3, "DATASET.NUM_SHOTS": 16, "DATASET.NAME": "ImageFolder"}
    assert settings["aux encoder sha256"] == sha256_of(bundled_weights("tiny_aux.pt"))
    assert settings["training images"] is None and settings["backbone sha256"] is None
    classes = json.loads((imported.folder / "classes.json").read_text())
    assert classes == {"class_keys": CLASSES, "classnames": CLASSES}
    assert (imported.folder / "adapter" / "checkpoint").read_text().strip() == "model.pth.tar-50"


def test_an_attention_pooling_has_no_classes(imported: Import, pooling_file: Path) -> None:
    assert imported(pooling_file, "RAFT")[0] == 0
    settings = read_settings(imported.folder)
    assert settings is not None and settings["training images"] is None
    assert len(settings["backbone sha256"]) == 64
    assert not (imported.folder / "classes.json").exists()


def test_nothing_is_trained_on_from_an_imported_model(imported: Import, train_main: Train, adapter_file: Any) -> None:
    assert imported(adapter_file(), "AMU")[0] == 0
    run = train_main("AMU", folder=imported.folder)
    assert run.status == 1 and "holds a run with other settings" in run.error


def test_an_existing_model_is_never_overwritten(imported: Import, finished: Train, adapter_file: Any) -> None:
    path = adapter_file()
    assert imported(path, "AMU")[0] == 0
    before = sha256_of(imported.folder / "adapter" / "model.pth.tar-50")
    assert f"{imported.folder} holds a run already" in imported.error(path, "AMU")
    assert "holds a run already" in imported.error(path, "AMU", "OPTIM.MAX_EPOCH", "3")
    assert sha256_of(imported.folder / "adapter" / "model.pth.tar-50") == before
    imported.folder = finished("RAFT").folder
    assert "holds a run already" in imported.error(path, "AMU")


@pytest.mark.parametrize("backbone", ["ViT-B/16", "ViT-B/32"])
def test_raft_on_a_vision_transformer(backbone: str, imported: Import, pooling_file: Path) -> None:
    message = imported.error(pooling_file, "RAFT", "--backbone", backbone)
    assert f"backbone {backbone!r} has no attention pooling; backbones with one are tiny, RN50" in message


def test_raft_on_a_vision_transformer_in_a_file(
    imported: Import, pooling_file: Path, tiny_clip: Any, tmp_path: Path
) -> None:
    torch.save(tiny_clip(layers=1, width=64, patch=16).state_dict(), tmp_path / "vit.pt")
    assert "has no attention pooling" in imported.error(pooling_file, "RAFT", "--backbone", str(tmp_path / "vit.pt"))


def test_raft_for_another_backbone(imported: Import, pooling_file: Path, tiny_clip: Any, tmp_path: Path) -> None:
    torch.save(tiny_clip().state_dict(), tmp_path / "narrow.pt")
    message = imported.error(pooling_file, "RAFT", "--backbone", str(tmp_path / "narrow.pt"))
    assert "the backbone's pooling needs" in message


@pytest.mark.parametrize(
    ("trainer", "options", "message"),
    [
        ("ZeroshotCLIP", (), "trainer ZeroshotCLIP has no published form; --trainer takes one of AMU, RAFT"),
        ("AMUU", (), "unknown trainer 'AMUU' (did you mean 'AMU'?)"),
        (
            "RAFT",
            ("--classnames", "names.txt"),
            "--classnames goes with methods that have rows for classes; RAFT has none",
        ),
        ("AMU", ("--classnames", "absent.txt"), "no file of class names absent.txt"),
        ("AMU", ("OPTIM.MAX_EPOCH", "0"), "OPTIM.MAX_EPOCH must be at least 1, got 0"),
        ("AMU", ("--backbone", "RN51"), "unknown backbone 'RN51' (did you mean 'RN50'?)"),
        ("AMU", ("OPTIM.EPOCH", "3"), "unknown configuration key 'OPTIM.EPOCH'"),
        ("AMU", ("TRAINER.AMU.AUX_ENCODER", "mocov3_rn50", "MODEL.WEIGHTS", "/nowhere"), "--weights /nowhere does not"),
        ("RAFT", ("--weights", "/nowhere", "--backbone", "RN50"), "--weights /nowhere does not hold RN50.pt"),
    ],
)
def test_requests_that_cannot_be_met(
    trainer: str, options: tuple[str, ...], message: str, imported: Import, adapter_file: Any
) -> None:
    assert message in imported.error(adapter_file(), trainer, *options)


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_files_that_do_not_fit(trainer: str, imported: Import, tmp_path: Path, adapter_file: Any) -> None:
    assert "no entry c_proj.bias" in imported.error(adapter_file(), "RAFT")
    assert "has shape (3, 100)" in imported.error(adapter_file(width=100), "AMU")
    message = imported.error(adapter_file(4), "AMU")
    assert "the file has 4 rows, but data set ImageFolder has 3 classes; name its data set by" in message
    assert "absent.pt" in imported.error(tmp_path / "absent.pt", trainer)


@pytest.mark.parametrize("trainer", ["AMU", "RAFT"])
def test_files_with_code_leave_nothing_and_run_nothing(trainer: str, imported: Import, tmp_path: Path) -> None:
    class RunsCode:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "trap",)

    torch.save({"fc.weight": torch.ones(3, 192), "optimizer": RunsCode()}, tmp_path / "w.pt")
    assert "could run code" in imported.error(tmp_path / "w.pt", trainer)
    assert not (tmp_path / "trap").exists()
