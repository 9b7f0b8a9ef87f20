from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.features.extraction import encode_batches, merge_batches
from amu_raft.features.views import ViewDataset
from amu_raft.methods.amu.adapter import average_views, initial_weight
from amu_raft.methods.amu.fusion import UNCERTAINTY_KINDS, fuse_logits, standardize_logits
from amu_raft.methods.amu.losses import amu_loss
from amu_raft.methods.schedules import cosine_table
from trainers.amu import AMU

Train = Callable[..., Any]
UNBALANCED = {"ant": 20, "bee": 4, "cat": 6}  # half of each class is training: 10, 2 and 3 images


def started(trainer: Any) -> Any:
    trainer.start_method()
    return trainer


def start_weight(trainer: Any) -> torch.Tensor:
    weight: torch.Tensor = started(trainer).method.adapter.fc.weight.detach()
    return weight


def encoded(trainer: Any, split: str) -> Iterator[Any]:
    """Features and labels of a split, encoded here and not taken from the store."""
    loader = {"val": trainer.val_loader, "test": trainer.test_loader}[split]
    return encode_batches(loader, trainer.encode, trainer.device, title=split)


def aux_views(trainer: Any, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Auxiliary features of the first views of the training images, encoded here: (count, N, F), and labels (N,)."""
    views = ViewDataset(trainer.dm.train_loader_x.dataset, num_views=count, seed=trainer.cfg.SEED)
    loader = DataLoader(views, batch_size=100)
    features, labels = merge_batches(list(encode_batches(loader, trainer.encode, trainer.device, title="views")))
    return features["aux"].unflatten(0, (count, -1)), labels[: len(labels) // count]


@pytest.mark.parametrize("kind", sorted(set(UNCERTAINTY_KINDS) - {"top5"}))
def test_every_uncertainty_kind_reaches_the_decision(kind: str, build: Train) -> None:
    trainer = started(build("AMU", "TRAINER.AMU.UNCERTAINTY", kind, "TRAINER.AMU.UNCERTAINTY_POWER", "0.7"))
    branches, _ = trainer.collect_branches("test", trainer.test_loader)
    with torch.no_grad():
        expected = fuse_logits(branches["zero_shot"], branches["aux"], fusion_alpha=4.0, kind=kind, power=0.7)
    assert torch.equal(trainer.decide(branches), expected)
    assert trainer.method.facts() == {
        "fusion_alpha": 4.0,
        "uncertainty": kind,
        "uncertainty_power": 0.7,
        "loss_lambda": 0.35,
        "known_classes": 3,
        "num_classes": 3,
    }


def test_top5_needs_five_classes(make_images: Any, train_main: Train, tmp_path: Path) -> None:
    setting = ("TRAINER.AMU.UNCERTAINTY", "top5", "OPTIM.MAX_EPOCH", "1")
    assert "'top5' needs at least 5 classes, got 3" in train_main("AMU", *setting).error
    five = make_images(tmp_path / "data", dict.fromkeys("abcde", 4))
    assert train_main("AMU", *setting, root=five).result["uncertainty"] == "top5"


def test_the_auxiliary_branch(build: Train) -> None:
    released, paper = (started(build("AMU", "TRAINER.AMU.STANDARDIZE_AUX", flag)) for flag in ("True", "False"))
    features, _ = next(encoded(paper, "test"))
    with torch.no_grad():
        raw = unit_rows(features["aux"]) @ paper.method.adapter.fc.weight.t()
        torch.testing.assert_close(paper.branch_logits(features)["aux"], raw)
        torch.testing.assert_close(released.branch_logits(features)["aux"], standardize_logits(raw))


def test_the_start_is_the_class_means_of_the_first_view(build: Train) -> None:
    trainer = build("AMU")
    found = start_weight(trainer)
    views, labels = trainer.train_loader_x.features["aux"], trainer.train_loader_x.labels
    first, second = (unit_rows(views.take(view, torch.arange(6))) for view in (0, 1))
    expected = torch.stack([first[labels == label].mean(dim=0) for label in range(3)])
    assert not torch.allclose(first, second) and trainer.num_views == 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("views", ["2", "3", "online"])
def test_the_start_can_be_averaged_over_passes(views: str, build: Train) -> None:
    trainer = build("AMU", "TRAINER.AMU.AUGMENT_EPOCH", "2", "TRAIN.VIEWS", views)
    aux, labels = aux_views(trainer, 2)
    torch.testing.assert_close(start_weight(trainer), initial_weight(average_views(aux), labels, 3))


def test_more_passes_than_cached_views(build: Train) -> None:
    trainer = build("AMU", "TRAINER.AMU.AUGMENT_EPOCH", "3", "TRAIN.VIEWS", "2")
    aux, labels = aux_views(trainer, 3)
    torch.testing.assert_close(start_weight(trainer), initial_weight(average_views(aux), labels, 3))


def test_unbalanced_classes(build: Train, make_images: Any, tmp_path: Path) -> None:
    root = make_images(tmp_path / "data", UNBALANCED)
    mean, released = (
        start_weight(build("AMU", "DATASET.NUM_SHOTS", "-1", "TRAINER.AMU.INIT", how, root=root))
        for how in ("class_mean", "released")
    )
    factors = torch.tensor([10.0, 2.0, 3.0]) * 3 / 15
    torch.testing.assert_close(released, mean * factors.unsqueeze(1))


def test_a_random_start_depends_on_the_seed(build: Train) -> None:
    first, again, other = (
        start_weight(build("AMU", "TRAINER.AMU.INIT", "random", "SEED", seed)) for seed in ("1", "1", "2")
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 0 < float(first.abs().max()) <= first.shape[1] ** -0.5


@pytest.mark.parametrize("how", ["class_mean", "released", "random"])
def test_every_start_trains(how: str, train_main: Train) -> None:
    assert train_main("AMU", "TRAINER.AMU.INIT", how, "OPTIM.MAX_EPOCH", "1").status == 0


def test_one_step_is_the_papers(build: Train) -> None:
    """AdamW on lambda * CE(s, y) + (1 - lambda) * CE(s_aux, y), with the rate of the cosine at each iteration."""
    trainer = started(build("AMU", "TRAINER.AMU.LOSS_LAMBDA", "0.2"))
    twin = torch.nn.Parameter(trainer.method.adapter.fc.weight.detach().clone())
    optimizer = torch.optim.AdamW([twin], lr=3e-3, weight_decay=0.01, eps=1e-4)
    rates = cosine_table(3e-3, total_steps=8)
    trainer.before_epoch()
    for trainer.batch_idx, batch in enumerate(list(trainer.train_loader_x)):  # noqa: B020
        assert trainer.optim.param_groups[0]["lr"] == pytest.approx(rates[trainer.batch_idx], abs=0)
        text = unit_rows(batch["clip"]) @ trainer.text_weights * trainer.backbone.logit_scale
        aux = standardize_logits(unit_rows(batch["aux"]) @ twin.t())
        fused = fuse_logits(text, aux, fusion_alpha=4.0, kind="kurtosis", power=0.4)
        loss = amu_loss(fused, aux, batch["label"], fused_weight=0.2)
        found = trainer.forward_backward(batch)
        assert [found["loss"], found["loss_aux"]] == pytest.approx([loss.total.item(), loss.aux.item()], rel=1e-5)
        optimizer.param_groups[0]["lr"] = rates[trainer.batch_idx]
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        torch.testing.assert_close(trainer.method.adapter.fc.weight, twin, rtol=1e-5, atol=1e-7)
    assert trainer.batch_idx == 1


def test_the_yaml_values_reach_the_optimiser(build: Train) -> None:
    group = build("AMU").optim.param_groups[0]
    assert (group["weight_decay"], group["eps"], group["initial_lr"]) == (0.01, 1e-4, 0.003)


def test_a_vision_transformer_will_do(tiny_clip: Any, train_main: Train, tmp_path: Path) -> None:
    torch.save(tiny_clip(layers=1, width=64, patch=16).state_dict(), tmp_path / "vit.pt")
    run = train_main("AMU", "--config-file", "tiny", "--backbone", str(tmp_path / "vit.pt"), "OPTIM.MAX_EPOCH", "1")
    assert run.result["backbone"] == str(tmp_path / "vit.pt")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("UNCERTAINTY", "kurt", "TRAINER.AMU.UNCERTAINTY is 'kurt'; choose from kurtosis, moment"),
        ("INIT", "zeros", "TRAINER.AMU.INIT is 'zeros'; choose from class_mean, released, random"),
        ("AUGMENT_EPOCH", "0", "TRAINER.AMU.AUGMENT_EPOCH must be at least 1, got 0"),
        ("UNCERTAINTY_POWER", "-1.0", "UNCERTAINTY_POWER must be at least 0, got -1.0"),
        ("LOSS_LAMBDA", "1.5", "LOSS_LAMBDA must be from 0 to 1, got 1.5"),
        ("AUX_ENCODER", "dino", "no aux encoder 'dino'; accepted: tiny, mocov3_rn50 or a checkpoint path"),
    ],
)
def test_bad_settings(key: str, value: str, message: str, train_main: Train) -> None:
    run = train_main("AMU", f"TRAINER.AMU.{key}", value)
    assert run.status == 1 and message in run.error


def test_names_are_checked_before_anything_is_loaded(build: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AMU, "build_data_loader", lambda self: pytest.fail("too late"))
    with pytest.raises(ValueError, match=r"^TRAINER\.AMU\.UNCERTAINTY is 'kurt'"):
        build("AMU", "TRAINER.AMU.UNCERTAINTY", "kurt")


def test_the_aux_encoder_is_part_of_the_settings(build: Train) -> None:
    from experiments.runs.settings import settings_of

    trainer = build("AMU")
    assert settings_of(trainer.cfg, trainer)["aux encoder sha256"] == trainer.aux_encoder.sha256
    assert len(trainer.aux_encoder.sha256) == 64
