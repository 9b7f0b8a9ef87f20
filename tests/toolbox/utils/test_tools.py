import random
from typing import Any

import numpy as np
import PIL
import torch

from dassl.utils import collect_env_info, set_random_seed, tolist_if_not


def test_seed_gives_the_recorded_numbers(recorded: dict[str, Any]) -> None:
    set_random_seed(3)
    numbers = [random.random(), float(np.random.rand()), float(torch.rand(1))]
    assert numbers == recorded["items"]["utils/set_random_seed"]


def test_seed_changes_no_settings() -> None:
    before = (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
    set_random_seed(0)
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before


def test_environment_text(monkeypatch: Any) -> None:
    import torch.utils.collect_env as environment

    monkeypatch.setattr(environment, "get_pretty_env_info", lambda: "torch and so on")
    assert collect_env_info() == f"torch and so on\n        Pillow ({PIL.__version__})"


def test_only_lists_stay() -> None:
    kept = [1]
    assert tolist_if_not(kept) is kept
    assert tolist_if_not(3) == [3]
    assert tolist_if_not((1, 2)) == [(1, 2)]
