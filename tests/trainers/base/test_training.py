"""Batches, epochs and steps."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from trainers.base.training import batch_accuracy

Train = Callable[..., Any]


def test_batch_accuracy_by_hand() -> None:
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0]], requires_grad=True)
    assert batch_accuracy(logits, torch.tensor([0, 0, 0])) == pytest.approx(200 / 3)


def test_an_anomaly_names_epoch_and_batch_counted_from_one(build: Train) -> None:
    trainer = build("AMU")
    trainer.epoch, trainer.batch_idx = 6, 0
    trainer.detect_anomaly(torch.tensor(1e30))
    for value in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(FloatingPointError, match=f"loss is {value} at epoch 7, batch 1; try a smaller OPTIM.LR"):
            trainer.detect_anomaly(torch.tensor(value))


@pytest.mark.parametrize(("batch", "sizes"), [("4", [4, 2]), ("6", [6]), ("64", [6]), ("1", [1] * 6)])
def test_no_image_of_an_epoch_is_lost(batch: str, sizes: list[int], build: Train) -> None:
    for views in ("2", "online"):
        trainer = build("AMU", "DATALOADER.TRAIN_X.BATCH_SIZE", batch, "TRAIN.VIEWS", views)
        trainer.choose_batches()
        assert [len(found["label"]) for found in trainer.train_loader_x] == sizes
        assert len(trainer.train_loader_x) == trainer.steps_per_epoch == len(sizes)


def test_epochs_take_turns_with_the_views_in_new_orders(build: Train) -> None:
    trainer = build("AMU")
    trainer.choose_batches()
    shown = []
    for trainer.epoch in range(3):
        trainer.before_epoch()
        shown.append(torch.cat([batch["clip"] for batch in trainer.train_loader_x]))
    views = trainer.train_loader_x.features["clip"]
    for epoch, found in enumerate(shown):
        view = views.take(epoch % 2, torch.arange(6))
        assert sorted(found.sum(dim=1).tolist()) == sorted(view.sum(dim=1).tolist())
        assert not torch.equal(found, view)
    assert not torch.equal(shown[0], shown[2])  # the same view


def test_a_checkpoint_of_a_later_epoch_than_the_last(build: Train, finished: Train) -> None:
    trainer = build("AMU", "RESUME", str(finished("AMU").folder), "OPTIM.MAX_EPOCH", "2")
    with pytest.raises(ValueError, match=r"resume from is of epoch 4, beyond OPTIM\.MAX_EPOCH 2"):
        trainer.before_train()
    trainer.close_writer()
