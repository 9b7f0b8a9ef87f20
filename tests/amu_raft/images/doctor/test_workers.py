import os

import pytest

from amu_raft.images.doctor import workers
from amu_raft.images.doctor.workers import look_at_all


def length_or_death(path: str) -> int:
    if path == "deadly":
        os._exit(1)
    return len(path)


def lost(path: str) -> int:
    return -1


@pytest.mark.parametrize("count", [0, 1, 64, 65, 1000])
def test_results_come_in_order(count: int) -> None:
    paths = ["x" * (number % 7) for number in range(count)]
    assert list(look_at_all(paths, length_or_death, lost=lost, title="t", workers=2)) == [len(path) for path in paths]


def test_deaths_cost_nothing_but_their_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far apart, so that the second one meets the pool that replaced the first."""
    monkeypatch.setattr(workers, "CHUNK", 2)
    monkeypatch.setattr(workers, "AHEAD", 1)
    paths = ["a"] * 40
    paths[1] = paths[31] = "deadly"
    seen = list(look_at_all(paths, length_or_death, lost=lost, title="t", workers=1))
    assert seen == [-1 if path == "deadly" else 1 for path in paths]
