"""A stretch of work that neither depends on the state of its process nor changes it."""

import contextlib
import os
import random
import threading
from collections.abc import Iterator

import numpy as np
import torch

_ONE_AT_A_TIME = threading.RLock()


def num_cores() -> int:
    """Return how many cores this process may use; OMP_NUM_THREADS counts as well."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen) > 0:
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def own_state(threads: int = 0) -> Iterator[None]:
    """Work with torch as it is when it is new, and give the process back as it was.

    Random generators, gradient mode, default type and device, autocast, precision of products and the number of threads
    are the caller's again afterwards. All of it belongs to the process, so of several threads one works at a time.

    Args:
        threads: CPU threads of torch; 0 is one per core.
    """
    with _ONE_AT_A_TIME:
        yield from _own_state(threads)


def _own_state(threads: int) -> Iterator[None]:
    python, numbers = random.getstate(), np.random.get_state()
    dtype, count = torch.get_default_dtype(), torch.get_num_threads()
    benchmark, products = torch.backends.cudnn.benchmark, torch.get_float32_matmul_precision()
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads or num_cores())
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False  # benchmarked kernels differ from run to run
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(range(torch.cuda.device_count())))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.device("cpu"))
            for kind in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
                stack.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(count)
        torch.backends.cudnn.benchmark = benchmark
        torch.set_float32_matmul_precision(products)
