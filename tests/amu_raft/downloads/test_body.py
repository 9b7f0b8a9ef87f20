import pytest

from amu_raft.downloads.body import Pace, SlowTransferError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Its one item is the time."""
    now = [100.0]
    monkeypatch.setattr("amu_raft.downloads.body.time.monotonic", lambda: now[0])
    return now


def test_a_rate_at_the_floor_goes_on_forever(clock: list[float]) -> None:
    pace = Pace()
    for _ in range(500):
        clock[0] += 1
        pace.count(1024)


def test_a_rate_below_the_floor_ends_after_its_time(clock: list[float]) -> None:
    pace = Pace()
    for _ in range(59):
        clock[0] += 1
        pace.count(1)
    clock[0] += 1
    with pytest.raises(SlowTransferError, match="it sent only 60 bytes in 60 s"):
        pace.count(1)


def test_a_good_minute_does_not_pay_for_a_bad_one(clock: list[float]) -> None:
    pace = Pace()
    clock[0] += 60
    pace.count(1 << 30)
    clock[0] += 60
    with pytest.raises(SlowTransferError, match="it sent only 7 bytes in 60 s"):
        pace.count(7)
