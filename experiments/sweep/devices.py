"""Which processes a sweep starts: one for each visible CUDA device, else one."""

import os


def environments(jobs: int | None, *, use_cuda: bool) -> list[dict[str, str]]:
    """Return the environment variables of each process.

    Args:
        jobs: Number of processes; None takes one per visible CUDA device, or one on a CPU.
        use_cuda: Whether runs use CUDA where there is any.

    Returns:
        One mapping per process. Several on a CPU share its cores evenly, unless OMP_NUM_THREADS is set.
    """
    visible = visible_devices() if use_cuda else []
    count = jobs or max(1, len(visible))
    if visible:
        return [{"CUDA_VISIBLE_DEVICES": visible[index % len(visible)]} for index in range(count)]
    if count == 1 or "OMP_NUM_THREADS" in os.environ:
        return [{} for _ in range(count)]
    return [{"OMP_NUM_THREADS": str(max(1, num_cores() // count))} for _ in range(count)]


def visible_devices() -> list[str]:
    """Return the names that CUDA_VISIBLE_DEVICES takes for the devices this process may use."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else [str(index) for index in range(count)]


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
