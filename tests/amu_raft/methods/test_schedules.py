import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from amu_raft.methods.schedules import TableScheduler, cosine_table, released_order, warmup_cosine_table


def test_cosine_by_hand() -> None:
    assert cosine_table(2.0, total_steps=4) == pytest.approx([2.0, 1 + math.sqrt(0.5), 1.0, 1 - math.sqrt(0.5)])
    assert cosine_table(0.5, total_steps=1) == [0.5]


def test_warm_up_by_hand() -> None:
    ours = warmup_cosine_table(1.0, total_steps=6, warmup_steps=4, final_lr=0.2)
    assert ours == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.6])
    released = warmup_cosine_table(1.0, total_steps=6, warmup_steps=4, final_lr=0.2, released=True)
    assert released == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0, 1.0, 0.6])


def test_warm_up_at_its_limits() -> None:
    assert warmup_cosine_table(1.0, total_steps=2, warmup_steps=0, final_lr=0.0) == pytest.approx([1.0, 0.5])
    assert warmup_cosine_table(1.0, total_steps=2, warmup_steps=2) == pytest.approx([0.5, 1.0])
    assert warmup_cosine_table(1.0, total_steps=1, warmup_steps=1, released=True) == [0.0]


@given(lr=st.floats(1e-5, 1.0), total=st.integers(1, 60), share=st.floats(0, 1))
def test_tables_rise_then_fall_and_never_stand_still_at_zero(lr: float, total: int, share: float) -> None:
    warmup = round(share * total)
    table = warmup_cosine_table(lr, total_steps=total, warmup_steps=warmup, final_lr=1e-6)
    assert len(table) == total and min(table) > 0 and max(table) <= lr * (1 + 1e-12)
    assert table[:warmup] == sorted(table[:warmup]) and table[warmup:] == sorted(table[warmup:], reverse=True)


def test_released_order_starts_twice_at_zero_and_loses_the_last_rate() -> None:
    table = warmup_cosine_table(1.0, total_steps=5, warmup_steps=2, released=True)
    assert released_order(table) == [0.0, *table[:-1]]
    assert released_order(table)[:2] == [0.0, 0.0]


@pytest.mark.parametrize("warmup", [-1, 4])
def test_bad_tables(warmup: int) -> None:
    with pytest.raises(ValueError, match=f"warm-up of {warmup} steps does not fit a run of 3"):
        warmup_cosine_table(1.0, total_steps=3, warmup_steps=warmup)
    with pytest.raises(ValueError, match="total_steps must be at least 1, got 0"):
        cosine_table(1.0, total_steps=0)
    with pytest.raises(ValueError, match="total_steps must be at least 1, got 0"):
        warmup_cosine_table(1.0, total_steps=0, warmup_steps=0)


def optimizer_of(groups: int = 1) -> torch.optim.Optimizer:
    return torch.optim.AdamW([{"params": [nn.Parameter(torch.ones(1))]} for _ in range(groups)], lr=9.0)


def rates_of(optimizer: torch.optim.Optimizer, scheduler: TableScheduler, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[-1]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_every_step_gets_its_rate_in_every_group_and_the_last_one_stays() -> None:
    optimizer = optimizer_of(groups=2)
    scheduler = TableScheduler(optimizer, [0.1, 0.2, 0.3])
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.1]
    assert rates_of(optimizer, scheduler, 5) == [0.1, 0.2, 0.3, 0.3, 0.3]
    assert scheduler.get_last_lr() == [0.3, 0.3]


@pytest.mark.parametrize("stop", range(5))
def test_a_resumed_schedule_goes_on(stop: int) -> None:
    table = [0.1, 0.2, 0.3, 0.4]
    optimizer = optimizer_of()
    scheduler = TableScheduler(optimizer, table)
    rates_of(optimizer, scheduler, stop)
    saved, saved_optimizer = scheduler.state_dict(), optimizer.state_dict()
    assert saved == {"last_epoch": stop}
    expected = rates_of(optimizer, scheduler, 6)
    fresh = optimizer_of()
    resumed = TableScheduler(fresh, table)
    fresh.load_state_dict(saved_optimizer)
    resumed.load_state_dict(saved)
    assert resumed.get_last_lr() == [expected[0]]
    assert rates_of(fresh, resumed, 6) == expected


def test_the_table_belongs_to_the_configuration() -> None:
    """A state written under another table brings its position only."""
    optimizer = optimizer_of()
    scheduler = TableScheduler(optimizer, [1.0, 2.0, 3.0])
    scheduler.load_state_dict({"last_epoch": 2})
    assert optimizer.param_groups[0]["lr"] == 3.0


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one entry"):
        TableScheduler(optimizer_of(), [])
