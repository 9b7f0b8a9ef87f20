"""What a run is made of before anything is learned."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import load_clip
from amu_raft.features.views import ViewDataset
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from trainers.base import construction

Train = Callable[..., Any]


class StrangersData(DatasetBase):
    """A data set without templates whose labels may leave a gap."""

    labels = (0, 1)
    classnames_of: ClassVar[dict[int, str]] = {}

    def __init__(self, cfg: Any) -> None:
        images = sorted(Path(cfg.DATASET.ROOT).rglob("*.png"))[:6]
        items = []
        for index, path in enumerate(images):
            label = self.labels[index % len(self.labels)]
            items.append(Datum(impath=str(path), label=label, classname=self.classnames_of.get(label, f"c{label}")))
        super().__init__(train_x=items, test=items)


@pytest.fixture
def strangers_data() -> Iterator[type[StrangersData]]:
    data = type("StrangersData", (StrangersData,), {})
    DATASET_REGISTRY.register(data, force=True)
    yield data
    DATASET_REGISTRY._objects.pop("StrangersData")


def test_a_data_set_without_templates(build: Train, strangers_data: Any) -> None:
    trainer = build("ZeroshotCLIP", "DATASET.NAME", "StrangersData")
    assert trainer.class_prompts() == [["a photo of a c0."], ["a photo of a c1."]]
    trainer.test()
    assert trainer.outcome["split"] == "test"


def test_labels_with_a_gap(train_main: Train, strangers_data: Any) -> None:
    strangers_data.labels = (0, 3)
    run = train_main("AMU", "DATASET.NAME", "StrangersData")
    assert run.status == 1 and "labels go up to 3 but only 2 classes have images" in run.error


def test_classes_of_the_same_name_are_noted_once(
    build: Train, strangers_data: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers_data.classnames_of = {0: "missile", 1: "missile"}
    build("ZeroshotCLIP", "DATASET.NAME", "StrangersData")
    note = "StrangersData: texts cannot tell classes of the same name apart: 'missile' (labels 0 and 1)"
    assert capsys.readouterr().out.splitlines().count(note) == 1


def test_sentences_are_looked_for_before_clip_is_loaded(
    train_main: Train, strangers_data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(construction, "load_clip", lambda *args, **kwargs: pytest.fail("too late"))
    arguments = ("AMU", "DATASET.NAME", "StrangersData", "TRAINER.AMU.PROMPTS", "gpt3")
    assert "data set StrangersData has no file of GPT-3 sentences" in train_main(*arguments).error
    strangers_data.prompt_file, strangers_data.prompt_path = "prompt.json", tmp_path / "prompt.json"
    error = train_main(*arguments).error
    assert f"no prompt file at {tmp_path}/prompt.json; fetch it with: python -m datasets.prepare StrangersDa" in error
    (tmp_path / "prompt.json").write_text('{"c0": ["One."], "c2": ["Two."]}')
    assert "has no class 'c1'; nearest keys: 'c2', 'c0'" in train_main(*arguments).error
    monkeypatch.undo()
    (tmp_path / "prompt.json").write_text('{"c0": ["One."], "c1": ["Two."]}')
    assert train_main(*arguments).status == 0


def test_the_place_of_weights_reaches_both_encoders_and_is_no_setting(
    build: Train, finished: Train, train_main: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def noting(load: Any) -> Any:
        def loaded(*args: Any, **kwargs: Any) -> Any:
            asked.append(kwargs["weights"])
            return load(*args, **kwargs)

        return loaded

    monkeypatch.setattr("trainers.base.construction.load_clip", noting(load_clip))
    monkeypatch.setattr("trainers.base.construction.load_aux_encoder", noting(load_aux_encoder))
    build("AMU", "MODEL.WEIGHTS", "/my/weights")
    build("AMU")
    assert asked == ["/my/weights", "/my/weights", None, None]
    model = train_main("AMU", "MODEL.WEIGHTS", "/my/weights").folder
    assert train_main("AMU", folder=model).status == 0  # the same run elsewhere
    asked.clear()
    assert train_main("AMU", "--eval-only", "--model-dir", str(model)).status == 0
    assert asked == [None, None]


@pytest.mark.parametrize("trainer", ["AMU", "RAFT", "ZeroshotCLIP"])
def test_encoder_layers_agree_and_are_told_apart_in_the_store(trainer: str, build: Train, tmp_path: Path) -> None:
    store = ("FEATURES.STORE", str(tmp_path / "store"), "FEATURES.MAPS_PREC", "fp32")
    folded, plain = (build(trainer, *store, *layers) for layers in ((), ("MODEL.ENCODER_LAYERS", "plain")))
    both = [each.frozen.features_of(each.dm.test_loader.dataset, title="encode") for each in (folded, plain)]
    assert both[0].entries.keys() == both[1].entries.keys() == folded.encoders.identities().keys()
    for name in both[0].entries:
        assert both[0].entries[name].folder != both[1].entries[name].folder
        found, expected = (features.load(name) for features in both)
        assert not torch.equal(found, expected)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert torch.equal(folded.text_weights, plain.text_weights)


def test_another_schedule_than_the_methods_own(build: Train) -> None:
    with pytest.raises(
        ValueError, match=r"OPTIM\.LR_SCHEDULER 'single_step' is not one that AMU has; its rates follow"
    ):
        build("AMU", "OPTIM.LR_SCHEDULER", "single_step")
    build("ZeroshotCLIP", "OPTIM.LR_SCHEDULER", "single_step")  # has no use for one


def test_cached_views_differ_and_are_the_encoded_images(build: Train) -> None:
    trainer = build("AMU", "TRAIN.VIEWS", "3")
    stored = trainer.training.views_of(3)
    assert stored.labels_of_images.tolist() == [item.label for item in trainer.dm.dataset.train_x]
    assert stored.labels.tolist() == 3 * stored.labels_of_images.tolist()
    views = ViewDataset(trainer.dm.train_loader_x.dataset, num_views=3, seed=trainer.cfg.SEED)
    expected = trainer.encode(torch.stack([item["img"] for item in views]))  # type: ignore[attr-defined]
    for name, width in (("clip", 64), ("aux", 192)):
        found = stored.load(name)
        assert found.shape == (18, width) and torch.equal(found, expected[name])
        assert not torch.allclose(found[:6], found[6:12])
    plain = build("AMU", "INPUT.TRANSFORMS", "('normalize',)").training.views_of(2).load("clip")
    assert torch.equal(plain[:6], plain[6:])  # without augmentation all views are one


def test_views_do_not_depend_on_what_was_drawn_before(build: Train, tmp_path: Path) -> None:
    drawn = []
    for number in range(2):
        trainer = build("RAFT", "FEATURES.STORE", str(tmp_path / str(number)))
        torch.manual_seed(77 * number)
        features = trainer.training.views_of(2)
        drawn.append({name: features.load(name) for name in ("clip", "maps")})
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_extraction_leaves_the_random_numbers_of_the_run_alone(build: Train, tmp_path: Path) -> None:
    """A run whose features are stored already must draw what the first one drew."""
    trainer = build("AMU", "FEATURES.STORE", str(tmp_path / "store"), "DATALOADER.NUM_WORKERS", "1")
    before = states()
    trainer.training.views_of(2)
    trainer.collect_branches("test", trainer.test_loader)
    assert states() == before


def states() -> list[Any]:
    return [random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]  # type: ignore[index]
