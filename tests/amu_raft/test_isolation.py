import os
import pickle
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from amu_raft.isolation import num_cores, own_state


def state() -> list[Any]:
    return [
        random.getstate(),
        pickle.dumps(np.random.get_state()),
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
        torch.backends.cudnn.benchmark,
    ]


def disturb() -> None:
    """Change everything that a stretch of work may change."""
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    torch.set_num_threads(2)
    torch.backends.cudnn.benchmark = True


@pytest.fixture
def odd_caller() -> Iterator[list[Any]]:
    """A process in which nothing is as it is when torch is new."""
    threads = torch.get_num_threads()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(3)
    torch.backends.cudnn.benchmark = True
    try:
        with torch.inference_mode(), torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
            yield state()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = False


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("", None), ("0", None), ("many", None), ("-2", None)])
def test_cores(given: str, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 5, 6, 7, 8}, raising=False)
    assert num_cores() == (expected or 5)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert num_cores() == (expected or 6)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert num_cores() == (expected or 1)


def test_inside_torch_is_as_it_is_when_it_is_new(odd_caller: list[Any]) -> None:
    with own_state(1):
        found = torch.zeros(2)
        assert found.dtype == torch.float32 and found.device == torch.device("cpu")
        weight = torch.ones(2, requires_grad=True)
        (weight @ weight).backward()
        assert weight.grad is not None and weight.grad.tolist() == [2, 2] and not weight.is_inference()
        product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == torch.float32 and torch.get_num_threads() == 1
        assert not torch.backends.cudnn.benchmark
    assert state() == odd_caller


def test_afterwards_it_is_the_callers_again(odd_caller: list[Any]) -> None:
    with own_state():
        disturb()
        assert state()[:5] != odd_caller[:5]
    assert state() == odd_caller


def test_after_an_error_too(odd_caller: list[Any]) -> None:
    with pytest.raises(KeyboardInterrupt), own_state():
        disturb()
        raise KeyboardInterrupt
    assert state() == odd_caller


def test_one_within_another(odd_caller: list[Any]) -> None:
    with own_state(2):
        torch.manual_seed(3)
        outer = state()
        with own_state(1):
            disturb()
        assert state() == outer
    assert state() == odd_caller


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for given, expected in ((0, 2), (1, 1), (3, 3)):
        with own_state(given):
            assert torch.get_num_threads() == expected


def test_of_several_threads_one_works_at_a_time() -> None:
    inside, most = [], []

    def work() -> None:
        with own_state():
            inside.append(0)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_the_precision_of_products_neither_enters_nor_leaks() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with own_state(), own_state():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
