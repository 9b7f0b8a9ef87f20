"""One process that plays its part among several; tests/toolbox/engine/test_distributed.py runs real ones."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed, nn
from torch.utils.data import SequentialSampler

from dassl.data import sharding
from dassl.data.sharding import ShardedSampler
from dassl.engine import TrainerBase
from dassl.utils import distributed as own
from dassl.utils import log_to, setup_logger


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A real group, of this process alone."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def play(patch: pytest.MonkeyPatch, rank: int, processes: int) -> None:
    """Pretend to be one of several processes; what is communicated stays here."""
    for module in (own, sharding):
        patch.setattr(module, "world_size", lambda: processes)
        patch.setattr(module, "rank", lambda: rank, raising=False)
    patch.setattr(sharding, "from_main", lambda value: value)


def test_alone_by_default() -> None:
    assert (own.world_size(), own.rank(), own.is_main()) == (1, 0, True)
    own.barrier()
    value = object()
    assert own.from_main(value) is value


@pytest.mark.usefixtures("group")
def test_a_group_of_one_changes_nothing() -> None:
    model = nn.Linear(1, 1)
    trainer = TrainerBase()
    trainer.register_model("net", model)
    assert own.world_size() == 1
    assert trainer._models["net"] is model
    assert not model.weight._post_accumulate_grad_hooks


@pytest.mark.usefixtures("group")
def test_registered_models_share_weights_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    import dassl.engine.models as models

    play(monkeypatch, 0, 2)
    monkeypatch.setattr(models, "world_size", lambda: 2)
    model: Any = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    beside: Any = nn.Parameter(torch.ones(1))
    model[0].bias.requires_grad_(False)
    optimiser = torch.optim.SGD([*model.parameters(), beside], lr=1.0)
    TrainerBase().register_model("net", model, optimiser)
    before = model[0].weight.item()
    (model[0](torch.ones(1)) + 3 * beside).sum().backward()
    # Two processes divide by two; the other one's share is missing here.
    assert (model[0].weight.grad.item(), beside.grad.item()) == (0.5, 1.5)
    assert model[0].weight.item() == before
    assert not model[0].bias._post_accumulate_grad_hooks
    assert own.from_main({"a": 1}) == {"a": 1}
    own.barrier()


def test_frozen_and_repeated_parameters() -> None:
    parameter, frozen = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1), requires_grad=False)
    own.share_gradients([parameter, frozen, parameter])
    assert len(parameter._post_accumulate_grad_hooks) == 1  # type: ignore[arg-type]


def test_unwrapping() -> None:
    model = nn.Linear(1, 1)
    assert own.unwrap(model) is model
    assert own.unwrap(nn.DataParallel(model)) is model


def test_other_processes_print_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dassl.utils.logger as logger

    monkeypatch.setattr(logger, "is_main", lambda: False)
    console = sys.stdout
    with log_to(str(tmp_path)):
        print("text")
        assert sys.stdout.write("four") == 4
        setup_logger(str(tmp_path / "again"))
        print("text")
    assert sys.stdout is console
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


@given(count=st.integers(1, 40), share=st.integers(1, 5), processes=st.integers(1, 4), drop=st.booleans())
def test_shares_make_up_the_batches(count: int, share: int, processes: int, drop: bool) -> None:
    size = share * processes
    drop_last = drop and count >= size
    parts = []
    for rank in range(processes):
        with pytest.MonkeyPatch.context() as patch:
            play(patch, rank, processes)
            sampler = ShardedSampler(SequentialSampler(range(count)), size, drop_last)
            parts.append(list(sampler))
            assert len(sampler) == len(parts[-1])
    whole, left = divmod(count, size)
    for batch in range(whole):
        seen = [index for part in parts for index in part[batch * share : (batch + 1) * share]]
        assert seen == list(range(batch * size, (batch + 1) * size))
    tails: list[Any] = [part[whole * share :] for part in parts]
    assert len({len(tail) for tail in tails}) == 1
    last = [index for tail in tails for index in tail]
    assert set(last) == set() if drop_last else set(last) == set(range(count - left, count))
    assert len(last) - left < processes or drop_last


def test_batches_must_be_divisible(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, 0, 3)
    with pytest.raises(ValueError, match=r"batch size \(8\) must be divisible by the number of processes \(3\)"):
        ShardedSampler(SequentialSampler(range(9)), 8, drop_last=False)


def test_training_loaders_are_divided(monkeypatch: pytest.MonkeyPatch, make_cfg: Any, data: Any) -> None:
    import dassl.data.data_manager as manager

    play(monkeypatch, 1, 2)
    monkeypatch.setattr(manager, "world_size", lambda: 2)
    cfg = make_cfg(DATALOADER__NUM_WORKERS=0, USE_CUDA=False)
    train = manager.build_data_loader(cfg, data_source=data[:10], batch_size=4, tfm=lambda image: 0)
    test = manager.build_data_loader(cfg, data_source=data[:10], batch_size=4, tfm=lambda image: 0, is_train=False)
    assert [batch["index"].tolist() for batch in train] == [[2, 3], [6, 7]]
    assert [batch["index"].tolist() for batch in test] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert (len(train), len(test)) == (2, 3)
