"""Run frozen encoders over image loaders."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from amu_raft.progress import progress

Features = dict[str, Tensor]
Encode = Callable[[Tensor], Features]
MALLOC_BLOCK = 32 << 20  # glibc hands larger blocks back to the system and clears new ones: a third of the time
WIDEST_LAYER = 64 * 4 // 4  # bytes per pixel of a residual network's first layer: 64 channels, float32, half the side


@torch.no_grad()
def encode_batches(
    loader: Iterable[dict[str, Any]], encode: Encode, device: torch.device, *, title: str
) -> Iterator[tuple[Features, Tensor]]:
    """Encode a loader's images batch by batch, with a progress bar.

    Args:
        loader: Yields dicts with ``img`` (B, 3, H, W) and ``label`` (B,).
        encode: Maps images on the device to named features, each (B, ...).
        device: Where the encoders are.
        title: What the bar says.

    Yields:
        Features and labels of each batch, on the device.
    """
    fitting: int | None = None
    for batch in progress(loader, title):
        images = batch["img"].to(device, non_blocking=True)
        if fitting is None and device.type == "cpu":
            fitting = part_for_cpu(images)
        features, size = encode_within_memory(images, encode, at_most=fitting or len(images))
        if size < len(images):
            fitting = size  # what did not fit once is not tried again with every batch
        yield features, batch["label"].to(device)


def encode_within_memory(images: Tensor, encode: Encode, *, at_most: int) -> tuple[Features, int]:
    """Encode a batch (B, 3, H, W) in parts that the device's memory can encode, halved until they do.

    Args:
        images: The batch.
        encode: As for ``encode_batches``.
        at_most: Size of the parts to begin with.

    Returns:
        Features, (B, ...) each, and the size of the parts.

    Raises:
        torch.OutOfMemoryError: If a single image is too large.
    """
    size = min(at_most, len(images))
    while True:
        try:
            parts = [encode(part) for part in images.split(size)]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}, size
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        torch.cuda.empty_cache()  # outside, where the error no longer holds on to what did not fit
        size = -(-size // 2)


def part_for_cpu(images: Tensor) -> int:
    """Return how many images (B, 3, H, W) a CPU encodes fastest together: few enough for memory that is used again."""
    return max(1, MALLOC_BLOCK // (WIDEST_LAYER * images.shape[-2] * images.shape[-1]))


def merge_batches(parts: Sequence[tuple[Features, Tensor]]) -> tuple[Features, Tensor]:
    """Join batches of named tensors (B, ...) and labels (B,) to (N, ...) and (N,); there must be at least one."""
    merged = {name: torch.cat([features[name] for features, _ in parts]) for name in parts[0][0]}
    return merged, torch.cat([labels for _, labels in parts])
