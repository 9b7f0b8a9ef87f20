from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.methods.raft.alpha_search import mix_logits, search_alpha
from amu_raft.methods.raft.attention_maps import attention_maps
from amu_raft.methods.raft.background import build_background_column
from amu_raft.methods.raft.losses import raft_loss
from amu_raft.methods.schedules import warmup_cosine_table

Train = Callable[..., Any]


def started(trainer: Any, *, epochs: int = 0) -> Any:
    trainer.start_method()
    for trainer.epoch in range(epochs):
        trainer.before_epoch()
        trainer.run_epoch()
    return trainer


def state_of(trainer: Any) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in trainer.method.region_attention.state_dict().items()}


def moved(trainer: Any, start: dict[str, torch.Tensor]) -> bool:
    return any(
        not torch.equal(value, start[key]) for key, value in trainer.method.region_attention.state_dict().items()
    )


# ----------------------------------------------------------------------------------------------------------- model


def test_the_background_has_a_text_of_its_own(build: Train) -> None:
    trainer = build("RAFT")
    assert torch.equal(trainer.method.text_columns, trainer.text_weights)
    background = build_background_column(trainer.backbone, ["bear", "red_fox", "sea lion"])
    assert torch.equal(trainer.method.background_column, background) and float(background.norm()) < 1


def test_the_ends_of_alpha_are_the_branches(build: Train) -> None:
    trainer = started(build("RAFT"), epochs=2)
    branches, _ = trainer.collect_branches("test", trainer.test_loader)
    for trainer.method.choices["fusion_alpha"], name in ((0.0, "zero_shot"), (1.0, "region")):
        assert torch.equal(trainer.decide(branches), branches[name])
    trainer.method.choices["fusion_alpha"] = 0.3
    torch.testing.assert_close(trainer.decide(branches), 0.3 * branches["region"] + 0.7 * branches["zero_shot"])


def test_zero_shot_branch_is_clips_own_vector(build: Train) -> None:
    raft, plain = build("RAFT"), build("ZeroshotCLIP")
    images = next(iter(raft.test_loader))["img"]
    with torch.no_grad():
        ours, theirs = (trainer.branch_logits(trainer.encode(images))["zero_shot"] for trainer in (raft, plain))
    assert torch.equal(ours, theirs)


def test_one_step_is_the_papers(build: Train) -> None:
    settings = ("TRAINER.RAFT.LAMBDA1", "0.3", "TRAINER.RAFT.LAMBDA2", "0.7", "TRAINER.RAFT.TAU1", "4.0")
    trainer = started(build("RAFT", *settings))
    twin = torch.nn.ModuleList([type(trainer.method.region_attention)(trainer.backbone.attention_pool)])[0]
    optimizer = torch.optim.AdamW(twin.parameters(), lr=1.0, weight_decay=0.01, eps=1e-4)
    rates = warmup_cosine_table(0.006, total_steps=8, warmup_steps=2)
    trainer.before_epoch()
    layer = trainer.method.region_attention
    for trainer.batch_idx, batch in enumerate(list(trainer.train_loader_x)):  # noqa: B020
        trainer.method.region_attention = twin
        logits = trainer.method.compare_regions({key: batch[key] for key in ("maps", "clip")})
        trainer.method.region_attention = layer
        loss = raft_loss(
            logits,
            batch["label"],
            difference_weight=0.3,
            consistency_weight=0.7,
            region_temperature=4.0,
            background_temperature=3.0,
        )
        optimizer.param_groups[0]["lr"] = rates[trainer.batch_idx]
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        found = trainer.forward_backward(batch)
        assert set(found) == {
            "loss",
            "acc",
            *(f"loss_{part}" for part in ("difference", "consistency", "region", "background")),
        }
        assert found["loss"] == pytest.approx(loss.total.item()) and found["loss_region"] == pytest.approx(
            loss.region.item()
        )
        for (name, ours), theirs in zip(layer.named_parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7, msg=name)


def test_both_poolings_train_the_same(build: Train) -> None:
    folded, plain = (started(build("RAFT", *pooling), epochs=2) for pooling in ((), ("TRAINER.RAFT.POOLING", "plain")))
    assert (folded.method.region_attention.pooling, plain.method.region_attention.pooling) == ("folded", "plain")
    for key, value in folded.method.region_attention.state_dict().items():
        torch.testing.assert_close(
            value, plain.method.region_attention.state_dict()[key], rtol=1e-4, atol=1e-5, msg=key
        )


def test_the_released_schedule_stands_still_for_two_steps(build: Train) -> None:
    """Its table comes one step late and starts at 0; with ours every step counts."""
    ours, released = build("RAFT"), build("RAFT", "TRAINER.RAFT.SCHEDULE", "released", "OPTIM.WARMUP_EPOCH", "2")
    for trainer, moves in ((ours, True), (released, False)):
        start = state_of(trainer)
        assert moved(started(trainer, epochs=1), start) is moves
    start = state_of(released)
    released.epoch = 1
    released.run_epoch()
    assert moved(released, start)
    assert released.sched.table[:4] == pytest.approx([0.0, 0.0, 0.002, 0.004])


# ----------------------------------------------------------------------------------------------------------- alpha


def test_alpha_is_chosen_on_validation_images_alone(build: Train) -> None:
    trainer = started(
        build("RAFT", "TRAINER.RAFT.ALPHA_RULE", "first_best", "TRAINER.RAFT.ALPHA_STEPS", "10"), epochs=2
    )
    test_loader, trainer.test_loader = trainer.test_loader, None  # out of reach
    trainer.choose()
    branches, labels = trainer.collect_branches("val", trainer.val_loader)
    expected = search_alpha(branches["zero_shot"], branches["region"], labels, steps=10, rule="first_best")
    assert trainer.method.choices["fusion_alpha"] == expected.chosen["fusion_alpha"]
    assert trainer.protocol()["selected_on"] == "validation"
    trainer.test_loader = test_loader
    accuracy = trainer.test()
    branches, labels = trainer.collect_branches("test", trainer.test_loader)
    mixed = mix_logits(branches["zero_shot"], branches["region"], fusion_alpha=trainer.method.choices["fusion_alpha"])
    assert accuracy == pytest.approx(100 * float((mixed.argmax(1) == labels).float().mean()))
    assert trainer.outcome["fusion_alpha"] == trainer.method.choices["fusion_alpha"]
    assert trainer.outcome["tuning"] == {
        "on": "validation",
        "method": "RAFT",
        "axes": {"fusion_alpha": pytest.approx([number / 10 for number in range(11)])},
        "accuracy": expected.accuracies.tolist(),
        "chosen": {"fusion_alpha": trainer.method.choices["fusion_alpha"]},
        "rule": "the first alpha with the highest accuracy",
        "images": 6,
    }


def test_the_record_names_the_rule(train_main: Train, finished: Train) -> None:
    result = finished("RAFT").result
    assert (
        result["protocol"]["alpha_rule"] == "one_standard_error" and result["protocol"]["selected_on"] == "validation"
    )
    assert 0 <= result["fusion_alpha"] <= 1
    for alpha, branch in (("0.0", "zero_shot"), ("1.0", "region")):
        fixed = train_main("RAFT", "TRAINER.RAFT.ALPHA_RULE", "fixed", "TRAINER.RAFT.FUSION_ALPHA", alpha).result
        assert fixed["protocol"]["selected_on"] == "none" and fixed["fusion_alpha"] == float(alpha)
        assert "tuning" not in fixed
        assert fixed["accuracy"] == fixed["branches"][branch]


def test_alpha_stays_without_validation_images(make_images: Any, train_main: Train, tmp_path: Path) -> None:
    for part in ("train", "test"):
        make_images(tmp_path / "data" / part, {"a": 2, "b": 2})  # two shots use them up: none is left to hold out
    run = train_main("RAFT", "TRAINER.RAFT.FUSION_ALPHA", "0.25", "OPTIM.MAX_EPOCH", "2", root=tmp_path / "data")
    assert run.result["fusion_alpha"] == 0.25 and run.result["protocol"]["selected_on"] == "none"
    assert (
        "fusion_alpha 0.25, pooling folded as configured: the data set has no validation images of its own" in run.out
    )


def test_alpha_stays_where_validation_is_the_test_set(build: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = build("RAFT", "TRAINER.RAFT.FUSION_ALPHA", "0.75")
    monkeypatch.setattr(type(trainer.dm.dataset), "val", property(lambda self: list(reversed(self.test))))
    monkeypatch.setattr(trainer, "val_loader", trainer.test_loader)
    started(trainer)
    trainer.test()
    assert trainer.method.choices["fusion_alpha"] == 0.75 and trainer.outcome["protocol"]["selected_on"] == "none"


# -------------------------------------------------------------------------------------------------------- bad input


def test_a_vision_transformer_has_no_regions(tiny_clip: Any, train_main: Train, tmp_path: Path) -> None:
    torch.save(tiny_clip(layers=1, width=64, patch=16).state_dict(), tmp_path / "vit.pt")
    run = train_main("RAFT", "--config-file", "tiny", "--backbone", str(tmp_path / "vit.pt"))
    assert run.status == 1
    assert "has no attention pooling; backbones with one are tiny, RN50, RN101, RN50x4, RN50x16, RN50x64" in run.error


def test_an_official_vision_transformer_is_refused_before_it_is_loaded(train_main: Train) -> None:
    run = train_main("RAFT", "--config-file", "tiny", "--backbone", "ViT-B/16")
    assert (
        run.status == 1
        and "backbone 'ViT-B/16' has no attention pooling; backbones with one are tiny, RN50" in run.error
    )


def test_another_resnet_of_another_size(tiny_clip: Any, train_main: Train, tmp_path: Path) -> None:
    torch.save(tiny_clip(resolution=96, width=6).state_dict(), tmp_path / "resnet.pt")
    backbone = ("--config-file", "tiny", "--backbone", str(tmp_path / "resnet.pt"))
    refused = train_main("RAFT", *backbone)
    assert "INPUT.SIZE (64, 64) does not fit backbone" in refused.error and "whose input is (96, 96)" in refused.error
    run = train_main("RAFT", *backbone, "INPUT.SIZE", "(96, 96)", "OPTIM.MAX_EPOCH", "2")
    assert run.status == 0
    [path] = (run.folder / "attnpool").glob("model.pth.tar-2")
    state = torch.load(path, weights_only=True)["state_dict"]
    assert state["positional_embedding"].shape == (3 * 3 + 2, 192)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "TRAINER.RAFT.SCHEDULE",
            "cosine",
            "TRAINER.RAFT.SCHEDULE is 'cosine'; choose from warmup_cosine, released",
        ),
        ("TRAINER.RAFT.POOLING", "fast", "TRAINER.RAFT.POOLING is 'fast'; choose from folded, plain"),
        (
            "TRAINER.RAFT.ALPHA_RULE",
            "best",
            "TRAINER.RAFT.ALPHA_RULE is 'best'; choose from one_standard_error, first_best, fixed",
        ),
        ("TRAINER.RAFT.ALPHA_STEPS", "0", "ALPHA_STEPS must be from 1 to 100000, got 0"),
        ("TRAINER.RAFT.TAU2", "0.0", "TAU2 must be at least 1e-06, got 0.0"),
        ("OPTIM.WARMUP_EPOCH", "5", "OPTIM.WARMUP_EPOCH 5 is longer than OPTIM.MAX_EPOCH 4"),
    ],
)
def test_bad_settings(key: str, value: str, message: str, train_main: Train) -> None:
    run = train_main("RAFT", key, value)
    assert run.status == 1 and message in run.error


def test_no_warm_up(build: Train) -> None:
    for epochs in ("0", "-1"):
        assert build("RAFT", "OPTIM.WARMUP_EPOCH", epochs).sched.table[0] == pytest.approx(0.006)


def test_attention_is_of_the_images_asked_for(build: Train) -> None:
    trainer = build("RAFT")
    images = trainer.test_loader.dataset
    maps = trainer.attention_of(images, [4, 1])
    pixels = torch.stack([images[row]["img"] for row in (4, 1)])
    expected = attention_maps(trainer.method.region_attention, trainer.backbone.encode_maps(pixels))
    torch.testing.assert_close(maps["class_after"], expected[:, 0], rtol=1e-2, atol=1e-3)  # maps are kept in fp16
    torch.testing.assert_close(maps["background_after"], expected[:, 1], rtol=1e-2, atol=1e-3)
    before = attention_maps(trainer.backbone.attention_pool, trainer.backbone.encode_maps(pixels))[:, 0]
    torch.testing.assert_close(maps["class_before"], before, rtol=1e-2, atol=1e-3)
    assert not torch.allclose(maps["class_before"][0], maps["class_before"][1], atol=1e-3)
