import functools
import importlib.util
import json
import random
import subprocess
import sys
import threading
import warnings
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import transforms as T  # type: ignore[import-untyped]

from amu_raft.features.descriptions import describe, describe_arithmetic
from dassl.data.transforms.random_image import Cutout, GaussianNoise, Random2DTranslation


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class Chain:
    """A transform that refers to itself."""

    def __init__(self) -> None:
        self.owner = self


class Level(Enum):
    LOW = 1
    HIGH = 2


def shift(pixels: float, by: float) -> float:
    return pixels + by


def closure(by: float) -> Any:
    return lambda pixels: pixels + by


class Number(float):
    pass


def compose(**changes: Any) -> Any:
    settings = {"scale": (0.5, 1.0), "length": 16, "std": 0.15, **changes}
    return T.Compose(
        [
            T.RandomResizedCrop(64, scale=settings["scale"]),
            T.RandomApply([T.ColorJitter(0.4)], p=0.8),
            T.ToTensor(),
            Cutout(1, settings["length"]),
            GaussianNoise(std=settings["std"]),
        ]
    )


def same(first: Any, second: Any) -> bool:
    ours, theirs = (json.dumps(describe(value)) for value in (first, second))
    return ours == theirs


# Made twice by the same words; each differs from its neighbours.
MAKERS = [
    lambda: None,
    lambda: 1,
    lambda: 1.0,
    lambda: "1",
    lambda: b"1",
    lambda: Number(1.0),
    lambda: [1, 2],
    lambda: [2, 1],
    lambda: {1, 2},
    lambda: {"a": 1},
    lambda: {"a": 2},
    lambda: Level.LOW,
    lambda: Level.HIGH,
    lambda: Slotted(1),
    lambda: Slotted(2),
    lambda: Chain(),
    lambda: np.arange(3),
    lambda: np.arange(3).astype(np.float32),
    lambda: torch.arange(3),
    lambda: torch.arange(4),
    lambda: torch.float16,
    lambda: np.array([None, 1], dtype=object),
    lambda: random.Random(1),
    lambda: random.Random(2),
    lambda: functools.partial(shift, by=1),
    lambda: functools.partial(shift, by=2),
    lambda: shift,
    lambda: closure(1),
    lambda: closure(2),
    lambda: Slotted,
    lambda: len,
    lambda: Cutout(1, 16).__call__,
    lambda: Cutout(1, 8).__call__,
    lambda: Path("/a"),
    lambda: Random2DTranslation(8, 8),
    lambda: T.Lambda(shift),
    lambda: T.Lambda(closure(3)),
    lambda: T.Resize(64),
    lambda: T.Resize(64, interpolation=T.InterpolationMode.NEAREST),
    lambda: compose(),
    lambda: compose(length=8),
    lambda: compose(std=0.15 + 1e-12),
    lambda: compose(scale=(0.50001, 1.0)),  # torchvision's own text rounds to four digits
]


def test_descriptions_are_equal_exactly_for_the_same_values() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # everything here can be told by its values
        first, again = ([json.dumps(describe(make())) for make in MAKERS] for _ in range(2))
    assert first == again
    assert len(set(first)) == len(MAKERS)


def test_order_of_the_steps_and_of_a_set() -> None:
    steps = [T.ToTensor(), T.RandomHorizontalFlip()]
    assert not same(T.Compose(steps), T.Compose(steps[::-1]))
    assert same({"a", "b", "c"}, {"c", "b", "a"}) and same(frozenset({3, 1}), frozenset({1, 3}))


def test_two_lambdas_of_one_file() -> None:
    first, second = lambda x: x + 1, lambda x: x + 2
    assert not same(first, second) and same(first, first)


def test_descriptions_are_the_same_in_another_process() -> None:
    program = (
        "import json; from tests.amu_raft.features.test_descriptions import MAKERS, describe; "
        "print(json.dumps([describe(make()) for make in MAKERS]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(json.dumps([describe(make()) for make in MAKERS]))


def test_an_edited_transform_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for number, by in enumerate((1, 1, 2)):
        path = tmp_path / f"version{number}" / "own_transform.py"
        path.parent.mkdir()
        path.write_text(f"class Shift:\n    def __call__(self, pixels):\n        return pixels + {by}\n")
        spec = importlib.util.spec_from_file_location("own_transform", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "own_transform", module)
        spec.loader.exec_module(module)
        describe.__globals__["_file_digest"].cache_clear()  # as a new process would begin
        found.append(describe(module.Shift()))
    assert found[0] == found[1] != found[2]


def test_what_cannot_be_told_is_its_own_and_is_warned_about_once() -> None:
    locks = [threading.Lock(), threading.Lock()]
    with pytest.warns(UserWarning, match=r"lock .* cannot be told by its values: features .* computed anew") as caught:
        found = [describe(lock) for lock in (*locks, locks[0])]
    assert len(caught) == 2 and found[0] == found[2] != found[1]


def test_code_without_a_file() -> None:
    made: dict[str, Any] = {"__name__": "typed_in"}
    exec("class Shift:\n    pass", made)  # as in an interactive session
    with pytest.warns(UserWarning, match="cannot be told by its values"):
        first, again = describe(made["Shift"]()), describe(made["Shift"]())
    assert first == again and "unknown" in json.dumps(first)


def test_the_arithmetic_of_the_cpu() -> None:
    found = describe_arithmetic(torch.device("cpu"))
    assert found["device"] == "cpu" and found["threads"] == torch.get_num_threads() and found["vectors"]
    try:
        torch.set_num_threads(2)
        assert describe_arithmetic(torch.device("cpu")) == {**found, "threads": 2}
    finally:
        torch.set_num_threads(1)
    backends: Any = torch.backends
    before = backends.mkldnn.matmul.fp32_precision
    try:
        backends.mkldnn.matmul.fp32_precision = "bf16"  # inside float32 products
        assert describe_arithmetic(torch.device("cpu"))["float32"] != found["float32"]
    finally:
        backends.mkldnn.matmul.fp32_precision = before
    assert describe_arithmetic(torch.device("cpu")) == found


def test_the_arithmetic_of_an_older_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch, "backends", SimpleNamespace(cudnn=SimpleNamespace(allow_tf32=True), cpu=torch.backends.cpu)
    )
    found = describe_arithmetic(torch.device("cpu"))["float32"]
    assert found == [torch.get_float32_matmul_precision(), "True"]


def test_the_arithmetic_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    found = describe_arithmetic(torch.device("cuda", 1))
    assert found["device"] == "card 1" and found["cuda"] == torch.version.cuda and "threads" not in found
    allowed = torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = not allowed
        assert describe_arithmetic(torch.device("cuda", 1)) != found
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
