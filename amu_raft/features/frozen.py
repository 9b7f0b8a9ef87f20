"""Frozen features of data sets: taken from the store, or computed in one pass over the images and stored."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from amu_raft.features.descriptions import describe, describe_arithmetic
from amu_raft.features.extraction import Features, encode_batches
from amu_raft.features.store import Entry, FeatureStore, image_identity, library_versions
from amu_raft.features.views import ViewDataset, Views, ViewsInMemory

Encode = Callable[[Tensor, Collection[str]], Features]
MEMORY_LIMIT = 4 << 30  # RN50's feature maps are 400 KB an image in float32
VERSION = 2  # raised with every change of this project that changes features, so that stored ones are not used


class LoaderSettings(NamedTuple):
    """How images are read: images per batch, worker processes, and whether batches go through pinned memory."""

    batch_size: int
    num_workers: int
    pin_memory: bool


class FrozenEncoders:
    """Encoders that are never trained, so that the same images always give the same features.

    Args:
        encode: Given images (B, 3, H, W) on the device and names, returns these features, (B, ...) each.
        identities: What tells each named feature's encoder from others: name, checksum of its weights, precision.
        device: Where the encoders are.
        store: Where features are kept.
        dtypes: Types of features that are not stored as they come, by name.
        loader: How images are read.
        strict: Whether the store tells images by their content instead of size and time of the last change.
    """

    def __init__(
        self,
        encode: Encode,
        identities: Mapping[str, Mapping[str, Any]],
        *,
        device: torch.device,
        store: FeatureStore,
        loader: LoaderSettings,
        dtypes: Mapping[str, torch.dtype] | None = None,
        strict: bool = False,
    ) -> None:
        self.encode = encode
        self.identities = identities
        self.device = device
        self.store = store
        self.loader = loader
        self.dtypes = dict(dtypes or {})
        self.strict = strict

    def labels_of(self, images: Any) -> Tensor:
        """Return the labels (N,) of a data set of images, on the encoders' device."""
        return torch.tensor([item.label for item in images.data_source]).to(self.device)

    def features_of(self, images: Any, *, title: str, names: Collection[str] | None = None) -> "FrozenFeatures":
        """Return the features of a data set of images, (N, ...) each.

        Args:
            images: The toolbox's wrapper: ``data_source`` lists items with ``impath`` and ``label``, ``transform`` says
                how their pixels are made, the same ones every time.
            title: What a progress bar says if they are computed.
            names: Features to return; all if not given.

        Raises:
            ValueError: If the data set is empty or not the wrapper's, or the features exceed the type to store.
            FileNotFoundError: If an image is missing.
            OSError: If the store cannot be used.
        """
        return self._fetch(images, images, {"views": None}, self._chosen(names), title)

    def views_of(
        self, images: Any, *, num_views: int, seed: int, title: str, names: Collection[str] | None = None
    ) -> "FrozenFeatures":
        """Return the features of augmented views of a data set of images, (V * N, ...) each, view after view.

        Args:
            images: As for ``features_of``; each view draws its pixels from a seed of its own.
            num_views: V.
            seed: Seed of the run.
            title: As for ``features_of``.
            names: Features to return; all if not given.
        """
        views = ViewDataset(images, num_views=num_views, seed=seed)
        about = {"views": {"count": num_views, "seed": seed}}
        return self._fetch(views, images, about, self._chosen(names), title)

    def _chosen(self, names: Collection[str] | None) -> list[str]:
        return [name for name in self.identities if names is None or name in names]

    def _fetch(
        self, rows: Dataset[Any], images: Any, about: Mapping[str, Any], chosen: Sequence[str], title: str
    ) -> "FrozenFeatures":
        items = _items_of(images, title)
        common = {
            **about,
            "version": VERSION,
            "images": _identity(images, items, strict=self.strict),
            "transform": describe(images.transform),
            "reader": describe([type(images), getattr(type(images), "read_image", None)]),
            "versions": library_versions(),
            "arithmetic": {**describe_arithmetic(self.device), "batch": self.loader.batch_size},
        }
        wanted = {
            name: {
                "feature": name,
                "encoder": dict(self.identities[name]),
                "dtype": _type_name(self._dtype(name)),
                **common,
            }
            for name in chosen
        }
        num_rows = len(rows)  # type: ignore[arg-type]
        entries = self.store.fetch(wanted, num_rows, lambda names: self._compute(rows, names, title))
        return FrozenFeatures(entries, torch.tensor([item.label for item in items]), self.device)

    def _compute(self, rows: Dataset[Any], names: Sequence[str], title: str) -> Iterator[Features]:
        loader = DataLoader(
            rows,
            batch_size=self.loader.batch_size,
            num_workers=min(self.loader.num_workers, -(-len(rows) // self.loader.batch_size)),  # type: ignore[arg-type]
            pin_memory=self.loader.pin_memory,
            # Its own, or what a run draws later would depend on whether its features were stored already.
            generator=torch.Generator().manual_seed(0),
        )
        for features, _ in encode_batches(loader, lambda pixels: self.encode(pixels, names), self.device, title=title):
            yield {
                name: _channels_to_end(_converted(features[name], self._dtype(name), what=f"{title}: {name}"))
                for name in names
            }

    def _dtype(self, name: str) -> torch.dtype:
        return self.dtypes.get(name, torch.float32)


class FrozenFeatures:
    """Stored features of V views of N images by name, (V * N, ...) each, view after view.

    Args:
        entries: The store's entries by name, at least one.
        labels: Of the images, (N,).
        device: Where features and labels go when they are read.

    Attributes:
        labels_of_images: (N,).
        labels: Of the rows, (V * N,).
    """

    def __init__(self, entries: Mapping[str, Entry], labels: Tensor, device: torch.device) -> None:
        self.entries = entries
        self.device = device
        self.num_views = next(iter(entries.values())).shape[0] // len(labels)
        self.labels_of_images = labels.to(device)
        self.labels = self.labels_of_images.repeat(self.num_views)

    def batches(self, batch_size: int) -> Iterator[tuple[Features, Tensor]]:
        """Read features and labels batch by batch, in order; memory holds one batch."""
        for start in range(0, len(self.labels), batch_size):
            stop = min(start + batch_size, len(self.labels))
            features = {name: self._to_device(entry.rows(start, stop)) for name, entry in self.entries.items()}
            yield features, self.labels[start:stop]

    def load(self, name: str, stop: int | None = None) -> Tensor:
        """Read the first rows of one feature up to ``stop``, or all, (rows, ...)."""
        return self._to_device(self.entries[name].rows(0, stop))

    def take(self, name: str, rows: Sequence[int]) -> Tensor:
        """Read some rows of one feature, (len(rows), ...), in the order given."""
        entry = self.entries[name]
        return self._to_device(torch.cat([entry.rows(row, row + 1) for row in rows]))

    def views(self, *, memory: int) -> dict[str, Views]:
        """Return the features view by view, the small ones in memory and on the device, as long as they fit.

        Args:
            memory: Bytes that may be taken, as float32. What does not fit stays on disk and is read when it is used.
        """
        chosen: dict[str, Views] = {}
        for name, entry in sorted(self.entries.items(), key=lambda item: item[1].num_bytes):
            size = math.prod(entry.shape) * 4
            if size <= memory:
                chosen[name] = ViewsInMemory(self.load(name).unflatten(0, (self.num_views, -1)))
                memory -= size
            else:
                chosen[name] = ViewsOnDisk(self, name)
        return {name: chosen[name] for name in self.entries}

    def _to_device(self, rows: Tensor) -> Tensor:
        rows = _channels_from_end(rows)
        # float32 again: half precision saves disk, it is not meant for the arithmetic.
        return rows.to(self.device).float()


class ViewsOnDisk:
    """One stored feature of V views of N images; every batch is read when it is used."""

    def __init__(self, features: FrozenFeatures, name: str) -> None:
        self.features = features
        self.name = name

    def take(self, view: int, images: Tensor) -> Tensor:
        """Return the feature of some images (B,) in one view, (B, ...)."""
        first = view * len(self.features.labels_of_images)
        return self.features.take(self.name, [first + image for image in images.tolist()])


def memory_for_views(device: torch.device) -> int:
    """Return how many bytes of features may be kept at hand: half of what a CUDA device has free, else 4 GiB."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free) // 2
    return MEMORY_LIMIT


def _identity(images: Any, items: Sequence[Any], *, strict: bool) -> dict[str, Any]:
    """Describe the images: by themselves if they can, else by their files."""
    if hasattr(images, "identity"):
        described: dict[str, Any] = images.identity(strict=strict)
        return described
    return image_identity([item.impath for item in items], strict=strict)


def _items_of(images: Any, title: str) -> Sequence[Any]:
    """Return the items of the toolbox's wrapper; what they are not told by has no place in the store."""
    if not hasattr(images, "data_source") or not hasattr(images, "transform"):
        raise ValueError(f"{title}: a {type(images).__name__} has no data_source and transform to store features by")
    items: Sequence[Any] = images.data_source
    if not items:
        raise ValueError(f"{title}: no images to encode")
    if len(images) != len(items):
        raise ValueError(f"{title}: the data set has {len(images)} rows for {len(items)} images")
    return items


def _converted(values: Tensor, dtype: torch.dtype, *, what: str) -> Tensor:
    converted = values.to(dtype)
    if dtype != values.dtype and not torch.equal(converted.isfinite(), values.isfinite()):
        largest = float(values.abs().max())
        raise ValueError(f"{what} reach {largest:.3g}, too much for {_type_name(dtype)}; set FEATURES.MAPS_PREC fp32")
    return converted


def _channels_to_end(values: Tensor) -> Tensor:
    """Carry maps (B, E, h, w) to the order in memory that they leave the encoder in and are pooled fastest from."""
    return values.permute(0, 2, 3, 1) if values.dim() == 4 else values


def _channels_from_end(values: Tensor) -> Tensor:
    """Undo ``_channels_to_end`` without moving anything."""
    return values.permute(0, 3, 1, 2) if values.dim() == 4 else values


def _type_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
