"""A trained model and other classes than it was trained on."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.methods.amu.fusion import fuse_logits, standardize_logits
from dassl.data.datasets import DATASET_REGISTRY
from datasets.image_folder import ImageFolder
from tests.datasets.miniatures.common import build_miniature

Train = Callable[..., Any]


def evaluated(train_main: Train, model: Path, *argv: str, **folders: Path) -> Any:
    run = train_main("AMU", "--eval-only", "--model-dir", str(model), *argv, **folders)
    assert run.status == 0, run.err
    return run


def known_of(run: Any) -> tuple[int, int]:
    return run.result["known_classes"], run.result["num_classes"]


def test_the_run_folder_names_its_classes(finished: Train) -> None:
    content = json.loads((finished("AMU").folder / "classes.json").read_text())
    names = ["bear", "red_fox", "sea lion"]
    assert content == {"class_keys": names, "classnames": names} and known_of(finished("AMU")) == (3, 3)


def test_another_data_set_with_some_of_the_classes(
    finished: Train, build: Train, make_images: Any, train_main: Train, tmp_path: Path
) -> None:
    model = finished("AMU").folder
    root = make_images(tmp_path / "data", {"ape": 6, "bear": 6, "cat": 6, "sea lion": 6})
    run = evaluated(train_main, model, root=root)
    assert known_of(run) == (2, 4) and "adapter knows 2 of 4 classes: zero-shot CLIP decides the others" in run.out
    trainer = build("AMU", root=root)
    trainer.load_model(str(model), epoch=4)
    weight = torch.load(model / "adapter" / "model.pth.tar-4", weights_only=True)["state_dict"]["fc.weight"]
    features, _ = next(trainer.frozen.features_of(trainer.test_loader.dataset, title="").batches(100))
    with torch.no_grad():
        found = trainer.branch_logits(features)
        aux = standardize_logits(unit_rows(features["aux"]) @ weight[[0, 2]].t())
        expected = torch.zeros_like(found["zero_shot"])
        expected[:, [1, 3]] = aux
        torch.testing.assert_close(found["aux"], expected)
        fused = fuse_logits(found["zero_shot"], expected, fusion_alpha=4.0, kind="kurtosis", power=0.4)
        torch.testing.assert_close(found["fused"], fused)


def test_the_halves_of_base_to_new(make_images: Any, train_main: Train, tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", dict.fromkeys(("ant", "bee", "cat", "dog", "elk"), 6))
    subset = "DATASET.SUBSAMPLE_CLASSES"
    model = train_main("AMU", subset, "base", root=root).folder
    base, new, whole = (evaluated(train_main, model, subset, half, root=root) for half in ("base", "new", "all"))
    assert [known_of(run) for run in (base, new, whole)] == [(3, 3), (0, 2), (3, 5)]
    assert "adapter knows 3 of 3 classes\n" in base.out
    assert "adapter knows 0 of 2 classes: zero-shot CLIP decides\n" in new.out
    plain = train_main("ZeroshotCLIP", subset, "new", root=root)
    assert new.result["per_class_accuracy"] == plain.result["per_class_accuracy"]
    assert new.result["branches"]["fused"] == plain.result["accuracy"] == new.result["zero_shot_accuracy"]


def test_nothing_known_is_zero_shot_to_the_bit(finished: Train, build: Train, make_images: Any, tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", {"ape": 6, "cat": 6})
    trainer, plain = build("AMU", root=root), build("ZeroshotCLIP", root=root)
    trainer.load_model(str(finished("AMU").folder), epoch=4)
    found, _ = trainer.collect_branches("test", trainer.test_loader)
    expected, _ = plain.collect_branches("test", plain.test_loader)
    assert torch.equal(trainer.decide(found), plain.decide(expected))


class KeyedFolder(ImageFolder):
    """Class keys in the manner of ImageNet: names may change or repeat, keys do not."""

    keys: tuple[str, ...] = ("n3", "n1", "n2")

    @property
    def class_keys(self) -> list[str]:
        return list(self.keys)


@pytest.fixture
def keyed() -> Iterator[type[KeyedFolder]]:
    data = type("KeyedFolder", (KeyedFolder,), {})
    DATASET_REGISTRY.register(data, force=True)
    yield data
    DATASET_REGISTRY._objects.pop("KeyedFolder")


def test_imagenet_and_its_variants(train_main: Train, tmp_path: Path) -> None:
    for name in ("ImageNet", "ImageNetV2", "ImageNetA"):
        build_miniature(name, tmp_path)

    def on(data: str) -> list[str]:
        return ["--dataset-config-file", data, "--config-file", "tiny"]

    trained = train_main("AMU", *on("imagenet"), root=tmp_path)
    assert trained.status == 0, trained.err
    keys = json.loads((trained.folder / "classes.json").read_text())["class_keys"]
    assert len(set(keys)) == 12 and all(key.startswith("n0") for key in keys)
    for data, classes in (("imagenet", 12), ("imagenetv2", 12), ("imagenet_a", 6)):
        run = evaluated(train_main, trained.folder, *on(data), root=tmp_path)
        assert known_of(run) == (classes, classes) and f"adapter knows {classes} of {classes} classes\n" in run.out
        assert run.result["accuracy"] > run.result["zero_shot_accuracy"]  # rows in wrong places would guess


def test_keys_tell_classes_apart_and_not_names(keyed: Any, train_main: Train, make_images: Any, tmp_path: Path) -> None:
    model = train_main("AMU", "DATASET.NAME", "KeyedFolder").folder
    assert json.loads((model / "classes.json").read_text())["class_keys"] == ["n3", "n1", "n2"]
    same = evaluated(train_main, model, "DATASET.NAME", "KeyedFolder")
    assert known_of(evaluated(train_main, model)) == (0, 3)  # plain ImageFolder has names for keys
    keyed.keys = ("n2", "n9", "n3")
    root = make_images(tmp_path / "data", {"bear": 6, "red_fox": 6, "sea lion": 6})
    assert known_of(same) == (3, 3) and known_of(
        evaluated(train_main, model, "DATASET.NAME", "KeyedFolder", root=root)
    ) == (2, 3)
    keyed.keys = ("n1", "n2")
    run = train_main("AMU", "DATASET.NAME", "KeyedFolder")
    assert run.status == 1 and "class_keys of data set KeyedFolder are 2, but it has 3 classes" in run.error


def test_a_folder_that_does_not_name_its_classes(
    finished: Train, train_main: Train, make_images: Any, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(finished("AMU").folder, model)
    (model / "classes.json").unlink()
    run = evaluated(train_main, model)
    assert run.result["accuracy"] == finished("AMU").result["accuracy"] and known_of(run) == (3, 3)
    assert f"{model} has no classes.json: the adapter's rows are taken for the data set's classes in order" in run.out
    two = make_images(tmp_path / "data", {"a": 4, "b": 4})
    run = train_main("AMU", "--eval-only", "--model-dir", str(model), root=two)
    assert run.status == 1 and "it must fit the 2 classes of the data set" in run.error
    assert f"{model} has no classes.json" in run.error and "but it has rows for 3" in run.error


def test_a_class_list_that_does_not_fit_the_adapter(finished: Train, train_main: Train, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(finished("AMU").folder, model)
    (model / "classes.json").write_text('{"class_keys": ["bear", "cat"]}')
    run = train_main("AMU", "--eval-only", "--model-dir", str(model))
    assert run.status == 1 and f"{model}: the adapter has rows for 3 classes, classes.json 2" in run.error


def test_training_forgets_the_classes_of_a_loaded_adapter(finished: Train, build: Train, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(finished("AMU").folder, model)
    (model / "classes.json").write_text('{"class_keys": ["sea lion", "bear", "x"]}')
    trainer = build("AMU")
    trainer.load_model(str(model), epoch=4)
    assert trainer.method.num_known == 2
    trainer.start_method()
    assert trainer.method.known is None and trainer.method.num_known == 3
