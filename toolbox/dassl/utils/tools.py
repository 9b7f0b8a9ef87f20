"""Small tools of a run: seeding, environment text, and the file functions at the path where callers look."""

import random
from typing import Any

import numpy as np
import PIL
import torch

from dassl.utils.files import (
    check_isfile,
    download_url,
    listdir_nohidden,
    mkdir_if_missing,
    read_json,
    write_json,
)
from dassl.utils.images import read_image
from dassl.utils.registry import check_availability, get_most_similar_str_to_a_from_b

__all__ = [
    "check_availability",
    "check_isfile",
    "collect_env_info",
    "download_url",
    "get_most_similar_str_to_a_from_b",
    "listdir_nohidden",
    "mkdir_if_missing",
    "read_image",
    "read_json",
    "set_random_seed",
    "tolist_if_not",
    "write_json",
]


def set_random_seed(seed: int) -> None:
    """Seed Python's random, numpy, torch and all CUDA devices, and change nothing else."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


def collect_env_info() -> str:
    """Return torch's description of the machine and its software, with a line for Pillow."""
    from torch.utils.collect_env import get_pretty_env_info

    environment = get_pretty_env_info()  # type: ignore[no-untyped-call]
    return f"{environment}\n        Pillow ({PIL.__version__})"


def tolist_if_not(x: Any) -> list[Any]:
    """Return a list unchanged and anything else, a tuple included, as a list of one element."""
    return x if isinstance(x, list) else [x]
