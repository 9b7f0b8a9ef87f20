"""The trainers and the feature store: what is computed when, and that no number depends on it."""

import functools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.features.extraction import encode_batches, merge_batches
from dassl.data import DatasetWrapper
from dassl.data.datasets import DATASET_REGISTRY
from dassl.data.transforms import build_transform
from datasets.image_folder import ImageFolder
from tests.conftest import write_images
from trainers.amu import AMU
from trainers.base import training
from trainers.raft import RAFT
from trainers.zsclip import ZeroshotCLIP

Train = Callable[..., Any]
TEST_IMAGES, VAL_IMAGES, TRAIN_IMAGES = 9, 6, 6


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the images that are encoded for each feature, and the prompts, as "text"."""
    counts: Counter[str] = Counter()

    def counting(encode: Any) -> Any:
        @functools.wraps(encode)
        def counted(self: Any, images: torch.Tensor, names: Any = None) -> Any:
            features = encode(self, images, names)
            counts.update(dict.fromkeys(features, len(images)))
            return features

        return counted

    for trainer in (AMU, RAFT, ZeroshotCLIP):
        monkeypatch.setattr(trainer, "encode", counting(trainer.encode))
    encode_text = CLIPBackbone.encode_text

    def counting_text(self: CLIPBackbone, tokens: torch.Tensor) -> torch.Tensor:
        counts["text"] += len(tokens)
        return encode_text(self, tokens)

    monkeypatch.setattr(CLIPBackbone, "encode_text", counting_text)
    return counts


@pytest.fixture
def store(tmp_path: Path) -> tuple[str, str]:
    return "FEATURES.STORE", str(tmp_path / "store")


def manifests(store: tuple[str, str]) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in Path(store[1]).glob("??/*/manifest.json")]


def trained(trainer: Any, *, epochs: int) -> Any:
    trainer.start_method()
    for trainer.epoch in range(epochs):
        trainer.before_epoch()
        trainer.run_epoch()
    return trainer


def weights(trainer: Any) -> dict[str, torch.Tensor]:
    [name] = trainer.get_model_names()
    return {key: value.clone() for key, value in trainer._models[name].state_dict().items()}


# ------------------------------------------------------------------------------------------------ what is computed


@pytest.mark.parametrize("trainer", ["AMU", "RAFT", "ZeroshotCLIP"])
def test_the_second_run_computes_nothing(
    trainer: str, train_main: Train, figures_of: Train, store: Any, encoded: Counter[str]
) -> None:
    first = train_main(trainer, *store)
    assert first.status == 0, first.err
    assert encoded["clip"] >= TEST_IMAGES and encoded["text"] >= 3
    before = dict(encoded)
    second = train_main(trainer, *store)
    assert second.status == 0 and dict(encoded) == before
    assert figures_of(second.result) == figures_of(first.result)
    for path in first.folder.glob("*/model.pth.tar-4"):
        states = [torch.load(run.folder / path.relative_to(first.folder), weights_only=True) for run in (first, second)]
        ours, theirs = (state["state_dict"] for state in states)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_every_image_is_encoded_once_in_a_run(train_main: Train, store: Any, encoded: Counter[str]) -> None:
    assert train_main("AMU", *store, "TEST.FINAL_MODEL", "best_val").status == 0  # evaluates every epoch
    assert encoded["clip"] == encoded["aux"] == 2 * TRAIN_IMAGES + VAL_IMAGES + TEST_IMAGES


def test_both_methods_share_clips_vectors(
    train_main: Train, figures_of: Train, store: Any, encoded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RAFT on its own and RAFT after AMU: only the maps are asked for, and the numbers are the same."""
    asked = []
    wrapped = RAFT.encode

    @functools.wraps(wrapped)
    def noting(self: Any, images: torch.Tensor, names: Any = None) -> Any:
        asked.append(tuple(names))
        return wrapped(self, images, names)

    monkeypatch.setattr(RAFT, "encode", noting)
    alone = train_main("RAFT", "FEATURES.STORE", store[1] + "-of-raft")
    assert set(asked) == {("clip", "maps")}
    assert train_main("AMU", *store).status == 0
    encoded.clear()
    asked.clear()
    after = train_main("RAFT", *store)
    assert set(asked) == {("maps",)} and encoded["maps"] == 2 * TRAIN_IMAGES + VAL_IMAGES + TEST_IMAGES
    assert encoded["clip"] == 0 and encoded["text"] == 3  # the background column
    numbers = [figures_of(run.result) for run in (alone, after)]
    assert [result["cfg"].pop("FEATURES")["STORE"] for result in numbers] == [store[1] + "-of-raft", store[1]]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("precision", ["fp32", "amp", "fp16"])
def test_both_methods_give_the_same_vectors(precision: str, build: Train, store: Any) -> None:
    """They share a key, so it must not matter which of them computes the entry."""
    settings = {name: (f"TRAINER.{name}.PREC", precision) for name in ("AMU", "RAFT")}
    amu, raft = (build(name, *store, *settings[name]) for name in ("AMU", "RAFT"))
    [batch] = amu.test_loader
    vectors = [trainer.encode(batch["img"])["clip"] for trainer in (amu, raft)]
    assert torch.equal(*vectors)
    entries = [trainer.frozen.features_of(trainer.test_loader.dataset, title="") for trainer in (amu, raft)]
    assert entries[0].entries["clip"].folder == entries[1].entries["clip"].folder


def test_raft_encodes_what_is_asked_for(build: Train) -> None:
    trainer = build("RAFT")
    images = next(iter(trainer.test_loader))["img"]
    whole, maps, vectors = (trainer.encode(images, names) for names in (None, ["maps"], ["clip"]))
    assert list(maps) == ["maps"] and torch.equal(maps["maps"], whole["maps"])
    assert torch.equal(vectors["clip"], whole["clip"])


CHANGES = {
    "transform": ("INPUT.INTERPOLATION", "nearest"),
    "statistics": ("INPUT.PIXEL_STD", "(0.5, 0.5, 0.5)"),
    "batch size": ("DATALOADER.TEST.BATCH_SIZE", "5"),
    "precision": ("TRAINER.AMU.PREC", "amp"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_setting_is_computed_anew(change: str, build: Train, store: Any, encoded: Counter[str]) -> None:
    for settings, count in (((), TEST_IMAGES), (CHANGES[change], TEST_IMAGES), ((), 0), (CHANGES[change], 0)):
        trainer = build("AMU", *store, *settings)
        encoded.clear()
        found, _ = trainer.collect_branches("test", trainer.test_loader)
        assert encoded["clip"] == encoded["aux"] == count
        expected, _ = branches_without_store(trainer, "test")
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def branches_without_store(trainer: Any, split: str) -> Any:
    loader = {"val": trainer.val_loader, "test": trainer.test_loader}[split]
    encode = type(trainer).encode.__wrapped__ if hasattr(type(trainer).encode, "__wrapped__") else type(trainer).encode
    parts = encode_batches(loader, functools.partial(encode, trainer), trainer.device, title=split)
    return merge_batches([(trainer.branch_logits(features), labels) for features, labels in parts])


def test_another_seed_has_other_views_but_the_same_test_images(build: Train, store: Any, encoded: Counter[str]) -> None:
    seen = []
    for seed in ("1", "2"):
        trainer = build("AMU", *store, "SEED", seed, "DATASET.NUM_SHOTS", "-1")
        encoded.clear()
        seen.append(trainer.training.views_of(1).load("clip"))
        assert encoded["clip"] == 15
        trainer.collect_branches("test", trainer.test_loader)
        assert encoded["clip"] == 15 + (TEST_IMAGES if seed == "1" else 0)
    assert seen[0].shape == seen[1].shape and not torch.allclose(*seen)


def test_another_backbone_and_another_number_of_threads(
    train_main: Train, store: Any, encoded: Counter[str], tiny_clip: Any, tmp_path: Path
) -> None:
    torch.save(tiny_clip().state_dict(), tmp_path / "clip.pt")
    other = ("--config-file", "tiny", "--backbone", str(tmp_path / "clip.pt"))
    try:
        for settings, count in (
            ((*store, "TRAIN.NUM_THREADS", "1"), TEST_IMAGES + VAL_IMAGES),
            ((*other, *store, "TRAIN.NUM_THREADS", "1"), TEST_IMAGES + VAL_IMAGES),
            ((*store, "TRAIN.NUM_THREADS", "2"), TEST_IMAGES + VAL_IMAGES),
            ((*store, "TRAIN.NUM_THREADS", "1"), 0),
        ):
            encoded.clear()
            run = train_main("ZeroshotCLIP", *settings)
            assert run.status == 0, run.err
            assert encoded["clip"] == count and (encoded["text"] > 0) is (count > 0), settings
    finally:
        torch.set_num_threads(1)


def test_a_touched_image_is_computed_anew(
    build: Train, store: Any, encoded: Counter[str], tmp_path: Path, make_images: Any
) -> None:
    root = make_images(tmp_path / "data")
    trainer = build("ZeroshotCLIP", *store, root=root)
    strict = build("ZeroshotCLIP", "FEATURES.STORE", store[1], "FEATURES.STRICT", "True", root=root)
    for count in (9, 9):  # an entry each: the two tell images apart by other means
        encoded.clear()
        (trainer if count else strict).collect_branches("test", trainer.test_loader)
    strict.collect_branches("test", strict.test_loader)
    path = trainer.dm.dataset.test[4].impath
    os.utime(path, ns=(1, 1))
    encoded.clear()
    strict.collect_branches("test", strict.test_loader)
    assert encoded["clip"] == 0
    trainer.collect_branches("test", trainer.test_loader)
    assert encoded["clip"] == TEST_IMAGES


# ------------------------------------------------------------------------------------------------------- same numbers


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_stored_features_are_those_that_encode_gives(precision: str, build: Train, store: Any) -> None:
    trainer = build("RAFT", *store, "FEATURES.MAPS_PREC", precision, "DATALOADER.TEST.BATCH_SIZE", "4")
    stored = trainer.frozen.features_of(trainer.test_loader.dataset, title="encode")
    batches = list(stored.batches(4))
    assert [len(labels) for _, labels in batches] == [4, 4, 1]
    for (found, labels), batch in zip(batches, trainer.test_loader, strict=True):
        expected = trainer.encode(batch["img"])
        assert labels.tolist() == batch["label"].tolist() and torch.equal(found["clip"], expected["clip"])
        assert found["maps"].dtype == torch.float32
        if precision == "fp32":
            assert torch.equal(found["maps"], expected["maps"])
        else:
            assert torch.equal(found["maps"], expected["maps"].half().float())
            torch.testing.assert_close(found["maps"], expected["maps"], rtol=2**-11, atol=2**-25)
    types = {manifest["description"]["feature"]: manifest["dtype"] for manifest in manifests(store)}
    assert types["maps"] == {"fp16": "float16", "fp32": "float32"}[precision] and types["clip"] == "float32"


def test_raft_with_maps_in_full_precision_evaluates_as_without_a_store(build: Train, store: Any) -> None:
    trainer = trained(build("RAFT", *store, "FEATURES.MAPS_PREC", "fp32"), epochs=2)
    found, _ = trainer.collect_branches("test", trainer.test_loader)
    expected, _ = branches_without_store(trainer, "test")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["AMU", "RAFT"])
def test_views_beyond_memory_stay_on_disk_and_train_alike(
    name: str, build: Train, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, states = [], []
    for memory in (1 << 30, 0):
        monkeypatch.setattr(training, "memory_for_views", lambda device, memory=memory: memory)
        trainer = trained(build(name, *store), epochs=3)
        kinds.append({type(views).__name__ for views in trainer.train_loader_x.features.values()})
        states.append(weights(trainer))
    assert kinds == [{"ViewsInMemory"}, {"ViewsOnDisk"}]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", ["AMU", "RAFT"])
def test_training_from_the_store_is_training_through_the_encoders(name: str, build: Train, store: Any) -> None:
    """One view for each epoch, as online training has it: the same images in the same order give the same weights."""
    epochs = 4
    settings = ("TRAIN.VIEWS", str(epochs), "FEATURES.MAPS_PREC", "fp32")
    stored = trained(build(name, *store, *settings), epochs=epochs)
    online = build(name, *store, *settings)
    trained(online, epochs=0)
    start = weights(online)
    views = few_shot_views(online, epochs)
    labels = online.train_loader_x.labels
    for online.epoch in range(epochs):
        order = epoch_order(stored, online.epoch)
        online.train_loader_x = [
            {"img": torch.stack([views[online.epoch * 6 + image]["img"] for image in part]), "label": labels[part]}
            for part in (order[:4], order[4:])
        ]
        online.run_epoch()
    found, expected = weights(stored), weights(online)
    assert any(not torch.allclose(expected[key], start[key]) for key in start)
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-4, atol=1e-6, msg=key)


def few_shot_views(trainer: Any, count: int) -> Any:
    from amu_raft.features.views import ViewDataset

    return ViewDataset(trainer.dm.train_loader_x.dataset, num_views=count, seed=trainer.cfg.SEED)


def epoch_order(trainer: Any, epoch: int) -> list[int]:
    """Return in which order the stored features of an epoch come, found by comparing them."""
    batches = trainer.train_loader_x
    batches.set_epoch(epoch)
    view = batches.features["clip"].take(epoch % batches.num_views, torch.arange(6))
    rows = torch.cat([batch["clip"] for batch in batches])
    order = [int((view == row).all(dim=1).nonzero()) for row in rows]
    assert sorted(order) == list(range(6))
    return order


def test_online_views_are_fresh_every_epoch_while_evaluation_comes_from_the_store(
    build: Train, store: Any, encoded: Counter[str]
) -> None:
    build_online = functools.partial(build, "AMU", *store, "TRAIN.VIEWS", "online", "TEST.FINAL_MODEL", "best_val")
    for repeated in (False, True):
        trainer = build_online()
        trained(trainer, epochs=0)
        encoded.clear()
        shown = []
        for trainer.epoch in range(3):
            trainer.before_epoch()
            batches = [{name: batch[name] for name in ("img", "impath")} for batch in trainer.train_loader_x]
            shown.append(
                {path: image for batch in batches for path, image in zip(batch["impath"], batch["img"], strict=True)}
            )
            trainer.run_epoch()
            trainer.test("val")
        assert all(not torch.equal(shown[0][path], shown[1][path]) for path in shown[0])
        assert encoded["aux"] == 3 * TRAIN_IMAGES + (0 if repeated else VAL_IMAGES)
        trainer.test()
        assert encoded["aux"] == 3 * TRAIN_IMAGES + (0 if repeated else VAL_IMAGES + TEST_IMAGES)


def test_a_flipped_byte_between_two_runs(
    train_main: Train, figures_of: Train, store: Any, encoded: Counter[str]
) -> None:
    first = train_main("AMU", *store)
    [damaged] = [
        path
        for path in Path(store[1]).glob("??/*/manifest.json")
        if json.loads(path.read_text())["description"]["feature"] == "aux"
        and json.loads(path.read_text())["shape"][0] == TEST_IMAGES
    ]
    rows = damaged.with_name("rows.npy")
    content = bytearray(rows.read_bytes())
    content[-5] ^= 1
    rows.write_bytes(content)
    encoded.clear()
    with pytest.warns(UserWarning, match="stored features are damaged and computed again") as caught:
        second = train_main("AMU", *store)
    assert len([item for item in caught if "damaged" in str(item.message)]) == 1
    assert second.status == 0 and encoded == {"aux": TEST_IMAGES}
    assert figures_of(second.result) == figures_of(first.result)


# -------------------------------------------------------------------------------------------------------------- texts


def test_texts_are_encoded_once(build: Train, store: Any, encoded: Counter[str], tmp_path: Path) -> None:
    first = build("RAFT", *store)
    assert encoded["text"] == len(first.class_prompts()) * len(first.class_prompts()[0]) + 3
    encoded.clear()
    second = build("RAFT", *store)
    assert encoded["text"] == 0 and torch.equal(second.text_weights, first.text_weights)
    assert torch.equal(second.method.background_column, first.method.background_column)
    sentences = {name: [f"A {name}."] for name in ("bear", "red fox", "sea lion")}
    (tmp_path / "prompts.json").write_text(json.dumps(sentences))
    prompts = ("TRAINER.RAFT.PROMPTS", str(tmp_path / "prompts.json"))
    other = build("RAFT", *store, *prompts)
    assert encoded["text"] == 3 and not torch.allclose(other.text_weights, first.text_weights)
    (tmp_path / "prompts.json").write_text(json.dumps(sentences | {"bear": ["A large bear."]}))
    build("RAFT", *store, *prompts)
    assert encoded["text"] == 6  # the place of the file is the same, its sentences are not
    build("RAFT", *store, "TRAINER.RAFT.PREC", "amp")
    assert encoded["text"] > 6


# ---------------------------------------------------------------------------------------------------- failing and odd


def test_an_interrupted_extraction_leaves_no_entry(
    train_main: Train, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = AMU.encode

    @functools.wraps(original)
    def interrupted(self: Any, images: torch.Tensor, names: Any = None) -> Any:
        if len(images) < 4:
            raise KeyboardInterrupt
        return original(self, images, names)

    with monkeypatch.context() as patch:
        patch.setattr(AMU, "encode", interrupted)
        run = train_main("AMU", *store, "DATALOADER.TEST.BATCH_SIZE", "5")  # twelve rows of views: 5, 5, 2
    assert run.status == 130 and "stopped" in run.err
    assert {manifest["description"]["feature"] for manifest in manifests(store)} == {"text, class columns"}
    assert not list(Path(store[1]).glob("partial/*"))
    assert train_main("AMU", *store, "DATALOADER.TEST.BATCH_SIZE", "5").status == 0


def test_a_device_with_little_memory(
    train_main: Train, figures_of: Train, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    original = AMU.encode

    @functools.wraps(original)
    def small(self: Any, images: torch.Tensor, names: Any = None) -> Any:
        sizes.append(len(images))
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, images, names)

    whole = train_main("AMU")
    monkeypatch.setattr(AMU, "encode", small)
    run = train_main("AMU", *store)
    assert run.status == 0, run.err
    assert {2, 1} <= set(sizes) and max(sizes) > 2
    assert run.result["accuracy"] == whole.result["accuracy"]


class OwnPixels(ImageFolder):
    """A stranger's data set, as upstream code would write one."""


@pytest.fixture
def strangers_folder() -> Iterator[None]:
    DATASET_REGISTRY.register(OwnPixels, force=True)
    yield
    DATASET_REGISTRY._objects.pop("OwnPixels")


def test_a_transform_that_is_replaced(build: Train, store: Any, encoded: Counter[str], strangers_folder: None) -> None:
    trainer = build("AMU", *store, "DATASET.NAME", "OwnPixels")
    configured, _ = trainer.collect_branches("test", trainer.test_loader)
    encoded.clear()
    for _ in range(2):
        trainer.test_loader.dataset.transform = build_transform(trainer.cfg, is_train=False, choices=[])
        replaced, _ = trainer.collect_branches("test", trainer.test_loader)
        assert encoded["clip"] == TEST_IMAGES  # computed for the new transform, once
        assert not torch.allclose(replaced["zero_shot"], configured["zero_shot"])
        expected, _ = branches_without_store(trainer, "test")
        assert torch.equal(replaced["zero_shot"], expected["zero_shot"])


def test_images_that_are_replaced(build: Train, store: Any, encoded: Counter[str]) -> None:
    trainer = build("AMU", *store)
    wrapper = trainer.dm.train_loader_x.dataset
    wrapper.data_source = trainer.dm.dataset.train_x[:3]
    trained(trainer, epochs=1)
    assert [len(batch["label"]) for batch in trainer.train_loader_x] == [3]
    assert encoded["clip"] == 2 * 3
    encoded.clear()
    reversed_test = DatasetWrapper(
        trainer.cfg, list(reversed(trainer.dm.dataset.test)), trainer.test_loader.dataset.transform
    )
    straight, labels = trainer.collect_branches("test", trainer.test_loader)
    turned, turned_labels = trainer.collect_branches("test", DataLoader(reversed_test))
    assert encoded["clip"] == 2 * TEST_IMAGES and turned_labels.tolist() == labels.tolist()[::-1]
    torch.testing.assert_close(turned["zero_shot"], straight["zero_shot"].flip(0))


def test_normalisation_that_the_transform_does_not_show(build: Train, store: Any, encoded: Counter[str]) -> None:
    """The same transform object, but the encoders are told of other statistics."""
    found = []
    for std in ("(0.5, 0.5, 0.5)", "(0.25, 0.25, 0.25)"):
        trainer = build("ZeroshotCLIP", *store, "INPUT.PIXEL_STD", std)
        trainer.test_loader.dataset.transform = build("ZeroshotCLIP", *store).test_loader.dataset.transform
        encoded.clear()
        found.append(trainer.collect_branches("test", trainer.test_loader)[0]["zero_shot"])
        assert encoded["clip"] == TEST_IMAGES
    assert not torch.allclose(*found)


def test_a_damaged_image_leaves_no_entry(train_main: Train, store: Any, tmp_path: Path) -> None:
    root = write_images(tmp_path / "data")
    for path in (root / "bear").glob("*.png"):
        path.write_bytes(path.read_bytes()[:60])
    run = train_main("ZeroshotCLIP", *store, root=root)
    assert run.status == 1 and ".png" in run.error
    assert {manifest["description"]["feature"] for manifest in manifests(store)} == {"text, class columns"}
