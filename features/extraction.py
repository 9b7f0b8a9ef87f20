"""Run frozen encoders over image loaders."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

Item = TypeVar("Item")
Features = dict[str, Tensor]
Encode = Callable[[Tensor], Features]

# Features of one loader that may be kept in memory. RN50 feature maps in float32 are 400 KB an image.
MEMORY_LIMIT = 4 << 30


def progress(items: Iterable[Item], title: str) -> Iterable[Item]:
    """Show a bar while items are gone through: on a terminal only, after a second, unless TQDM_DISABLE is set."""
    hidden = True if os.environ.get("TQDM_DISABLE") else None  # None lets tqdm ask whether there is a terminal
    return tqdm(items, desc=title, leave=False, delay=1, disable=hidden)


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
    for batch in progress(loader, title):
        yield encode(batch["img"].to(device, non_blocking=True)), batch["label"].to(device)


def encode_all(
    loader: Iterable[dict[str, Any]], encode: Encode, device: torch.device, *, title: str, num_images: int
) -> tuple[Features, Tensor]:
    """Encode all images of a loader and keep the features in memory.

    Args:
        loader: As for ``encode_batches``.
        encode: As for ``encode_batches``.
        device: As for ``encode_batches``.
        title: As for ``encode_batches``.
        num_images: How many images will come, to refuse in time what cannot be kept.

    Returns:
        Features (N, ...) by name and labels (N,), in the loader's order.

    Raises:
        ValueError: If there is no image, or the features would not fit ``MEMORY_LIMIT``.
    """
    parts: list[tuple[Features, Tensor]] = []
    for features, labels in encode_batches(loader, encode, device, title=title):
        if not parts:
            check_memory(features, len(labels), num_images, title=title)
        parts.append((features, labels))
    if not parts:
        raise ValueError(f"{title}: no images to encode")
    return merge_batches(parts)


def merge_batches(parts: Sequence[tuple[Features, Tensor]]) -> tuple[Features, Tensor]:
    """Join batches of named tensors (B, ...) and labels (B,) to (N, ...) and (N,); there must be at least one."""
    merged = {name: torch.cat([features[name] for features, _ in parts]) for name in parts[0][0]}
    return merged, torch.cat([labels for _, labels in parts])


def check_memory(features: Features, batch_size: int, num_images: int, *, title: str) -> None:
    """Refuse to keep features that would not fit ``MEMORY_LIMIT``.

    Raises:
        ValueError: Naming the size and the way out.
    """
    size = bytes_per_image(features, batch_size) * num_images
    if size > MEMORY_LIMIT:
        raise ValueError(
            f"{title}: features of {num_images} images need {size / 2**30:.1f} GiB of memory, "
            f"more than {MEMORY_LIMIT / 2**30:.0f} GiB; use TRAIN.VIEWS online or fewer views"
        )


def bytes_per_image(features: Features, batch_size: int) -> float:
    """Return how many bytes the features of one image take."""
    return sum(value.numel() * value.element_size() for value in features.values()) / batch_size
