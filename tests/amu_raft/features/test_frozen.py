import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Subset

from amu_raft.features import frozen
from amu_raft.features.frozen import FrozenEncoders, FrozenFeatures, LoaderSettings, ViewsOnDisk, memory_for_views
from amu_raft.features.store import FeatureStore
from amu_raft.features.views import FeatureBatches, ViewDataset, ViewsInMemory

CPU = torch.device("cpu")
SEVEN = 7


class Item(NamedTuple):
    impath: str
    label: int


class Brighten:
    """A transform with a parameter."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels * self.factor


class AddNoise:
    """An augmentation, which draws from torch's generator."""

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels + torch.rand(pixels.shape)


class Pictures(Dataset[dict[str, Any]]):
    """What the toolbox's wrapper gives, from files that hold one grey number."""

    def __init__(self, paths: list[Path], transform: Any) -> None:
        self.data_source = [Item(str(path), index % 3) for index, path in enumerate(paths)]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        item = self.data_source[index]
        pixels = torch.from_numpy(np.asarray(Image.open(item.impath).convert("RGB")).copy()).permute(2, 0, 1).float()
        return {"img": self.transform(pixels), "label": item.label}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = []
    for index in range(SEVEN):
        found.append(tmp_path / "images" / f"{index}.png")
        found[-1].parent.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2), (index + 1,) * 3).save(found[-1])
    return found


@pytest.fixture
def pictures(paths: list[Path]) -> Callable[..., Pictures]:
    return lambda factor=1.0: Pictures(paths, Brighten(factor))


class CountingEncoder:
    """Two features that are told by hand, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, tuple[str, ...]]] = []

    def __call__(self, images: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        self.asked.append((len(images), tuple(sorted(names))))
        features = {"clip": images.mean(dim=(1, 2, 3)).unsqueeze(1), "maps": images / 3}
        return {name: features[name] for name in names}

    @property
    def num_images(self) -> int:
        return sum(count for count, _ in self.asked)


IDENTITIES = {
    "clip": {"name": "grey", "sha256": "0" * 64, "precision": "fp32"},
    "maps": {"name": "grey", "sha256": "0" * 64, "precision": "fp32"},
}


@pytest.fixture
def encode() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def make(tmp_path: Path, encode: CountingEncoder) -> Callable[..., FrozenEncoders]:
    def make(
        *,
        identities: Any = IDENTITIES,
        batch_size: int = 3,
        num_workers: int = 0,
        dtypes: Any = None,
        strict: bool = False,
        encode: Any = encode,
    ) -> FrozenEncoders:
        return FrozenEncoders(
            encode,
            identities,
            device=CPU,
            store=FeatureStore(tmp_path / "store"),
            loader=LoaderSettings(batch_size, num_workers, pin_memory=False),
            dtypes=dtypes,
            strict=strict,
        )

    return make


# ------------------------------------------------------------------------------------------------------------ values


def test_features_by_hand(make: Any, pictures: Any, encode: CountingEncoder) -> None:
    found = make().features_of(pictures(2.0), title="encode")
    assert found.load("clip").flatten().tolist() == [2, 4, 6, 8, 10, 12, 14]
    assert found.load("maps").shape == (7, 3, 2, 2) and found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert encode.asked == [(3, ("clip", "maps")), (3, ("clip", "maps")), (1, ("clip", "maps"))]
    assert found.num_views == 1 and torch.equal(found.labels, found.labels_of_images)


def test_batches_are_read_in_order(make: Any, pictures: Any) -> None:
    found = make().features_of(pictures(), title="encode")
    batches = list(found.batches(4))
    assert [features["clip"].flatten().tolist() for features, _ in batches] == [[1, 2, 3, 4], [5, 6, 7]]
    assert [labels.tolist() for _, labels in batches] == [[0, 1, 2, 0], [1, 2, 0]]
    assert found.take("clip", [6, 0, 6]).flatten().tolist() == [7, 1, 7]
    assert found.load("clip", 2).flatten().tolist() == [1, 2]


def test_maps_are_kept_and_read_with_channels_last(make: Any, pictures: Any) -> None:
    found = make().views_of(pictures(), num_views=2, seed=5, title="encode")
    assert found.entries["maps"].shape == (14, 2, 2, 3)
    views = [found.views(memory=memory)["maps"].take(1, torch.tensor([2, 0])) for memory in (0, 1 << 20)]
    assert torch.equal(*views)
    for maps in (*views, found.load("maps"), next(found.batches(4))[0]["maps"], found.take("maps", [3, 1])):
        assert maps.shape[1:] == (3, 2, 2) and maps.is_contiguous(memory_format=torch.channels_last)


def test_views_are_those_of_the_view_dataset(make: Any, paths: list[Path], encode: CountingEncoder) -> None:
    images = Pictures(paths, AddNoise())
    found = make().views_of(images, num_views=2, seed=5, title="encode")
    pixels = torch.stack([item["img"] for item in ViewDataset(images, num_views=2, seed=5)])  # type: ignore[attr-defined]
    assert torch.equal(found.load("maps"), pixels / 3)
    assert found.num_views == 2 and found.labels.tolist() == 2 * found.labels_of_images.tolist()
    again = make().views_of(images, num_views=2, seed=5, title="encode", names=("clip",))
    assert list(again.entries) == ["clip"] and encode.num_images == 14  # one decode served both


def test_only_wanted_features_are_computed(make: Any, pictures: Any, encode: CountingEncoder) -> None:
    make().views_of(pictures(), num_views=1, seed=1, title="encode", names=("clip",))
    assert {names for _, names in encode.asked} == {("clip",)}
    make().views_of(pictures(), num_views=1, seed=1, title="encode")
    assert {names for _, names in encode.asked[3:]} == {("maps",)}


def test_another_type_on_disk_is_float32_again(make: Any, pictures: Any) -> None:
    found = make(dtypes={"maps": torch.float16}).features_of(pictures(), title="encode")
    assert found.entries["maps"].manifest["dtype"] == "float16"
    exact = make().features_of(pictures(), title="encode").load("maps")
    for values in (found.load("maps"), next(found.batches(7))[0]["maps"], found.take("maps", range(7))):
        assert values.dtype == torch.float32 and torch.equal(values, exact.half().float())
    assert not torch.equal(found.load("maps"), exact)


def test_numbers_beyond_half_precision_are_refused(make: Any, pictures: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"encode: maps reach 8e\+04, too much for float16; set FEATURES.MAPS_PREC"):
        make(dtypes={"maps": torch.float16}).features_of(pictures(4e4), title="encode")
    assert not list((tmp_path / "store").glob("??/*"))
    assert make().features_of(pictures(4e4), title="encode").load("maps").max() > 65504


def test_workers_change_nothing(make: Any, paths: list[Path], tmp_path: Path) -> None:
    images = Pictures(paths, AddNoise())
    found = [make(num_workers=workers) for workers in (0, 2)]
    features = []
    for number, encoders in enumerate(found):
        encoders.store = FeatureStore(tmp_path / str(number))
        features.append(encoders.views_of(images, num_views=2, seed=5, title="encode").load("maps"))
    assert torch.equal(*features)


# --------------------------------------------------------------------------------------------------------- when anew


def test_the_second_time_nothing_is_computed(make: Any, pictures: Any, encode: CountingEncoder) -> None:
    first, second = (make().features_of(pictures(), title="encode") for _ in range(2))
    assert encode.num_images == SEVEN
    assert all(torch.equal(first.load(name), second.load(name)) for name in IDENTITIES)


def changed(name: str, key: str, value: str) -> dict[str, dict[str, str]]:
    return {**IDENTITIES, name: {**IDENTITIES[name], key: value}}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch_size": 4}, {("clip", "maps")}),
        ({"strict": True}, {("clip", "maps")}),
        ({"dtypes": {"maps": torch.float16}}, {("maps",)}),
        ({"identities": changed("clip", "sha256", "1" * 64)}, {("clip",)}),
        ({"identities": changed("maps", "name", "other")}, {("maps",)}),
        ({"identities": changed("clip", "precision", "amp")}, {("clip",)}),
    ],
)
def test_other_settings_are_computed_anew(
    settings: dict[str, Any], expected: set[Any], make: Any, pictures: Any, encode: CountingEncoder
) -> None:
    make().features_of(pictures(), title="encode")
    for wanted in (expected, set()):
        encode.asked.clear()
        make(**settings).features_of(pictures(), title="encode")
        assert {names for _, names in encode.asked} == wanted
    make().features_of(pictures(), title="encode")
    assert not encode.asked


def test_other_images_are_computed_anew(make: Any, paths: list[Path], encode: CountingEncoder) -> None:
    lists = [paths, paths[:5], paths[::-1], [*paths, paths[0]]]
    for computed in (True, False):
        for chosen in lists:
            encode.asked.clear()
            make().features_of(Pictures(chosen, Brighten(1.0)), title="encode")
            assert encode.num_images == (len(chosen) if computed else 0)


def test_another_transform_is_computed_anew(make: Any, pictures: Any, encode: CountingEncoder) -> None:
    for factor in (1.0, 1.0 + 2**-50, 1.0, 1.0 + 2**-50):
        make().features_of(pictures(factor), title="encode")
    assert encode.num_images == 2 * SEVEN


def test_a_reader_of_another_class_is_computed_anew(make: Any, paths: list[Path], encode: CountingEncoder) -> None:
    class Inverted(Pictures):
        def __getitem__(self, index: int) -> dict[str, Any]:
            item = super().__getitem__(index)
            return {**item, "img": 255 - item["img"]}

    first, second = (make().features_of(kind(paths, Brighten(1.0)), title="e") for kind in (Pictures, Inverted))
    assert encode.num_images == 14 and not torch.equal(first.load("clip"), second.load("clip"))


def test_another_way_to_read_pixels_is_computed_anew(make: Any, paths: list[Path], encode: CountingEncoder) -> None:
    """The toolbox's wrapper names the function, whose file may change without that of the wrapper."""

    class Reading(Pictures):
        read_image: Any = staticmethod(len)

    for computed in (SEVEN, 0):
        encode.asked.clear()
        make().features_of(Reading(paths, Brighten(1.0)), title="e")
        assert encode.num_images == computed
    Reading.read_image = staticmethod(repr)
    make().features_of(Reading(paths, Brighten(1.0)), title="e")
    assert encode.num_images == SEVEN


def test_views_are_told_apart_from_images_by_number_and_seed(make: Any, pictures: Any, encode: CountingEncoder) -> None:
    encoders = make()
    for computed in (True, False):
        encode.asked.clear()
        encoders.features_of(pictures(), title="encode")
        for num_views, seed in ((1, 1), (2, 1), (1, 2)):
            encoders.views_of(pictures(), num_views=num_views, seed=seed, title="encode")
        assert encode.num_images == (5 * SEVEN if computed else 0)


def test_other_arithmetic_and_libraries_are_computed_anew(
    make: Any, pictures: Any, encode: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().features_of(pictures(), title="encode")
    changes: list[tuple[str, Any]] = [
        ("library_versions", lambda: {"pillow": "0"}),
        ("describe_arithmetic", lambda device: {"device": "another"}),
        ("VERSION", frozen.VERSION + 1),
    ]
    for name, value in changes:
        encode.asked.clear()
        with monkeypatch.context() as patch:
            patch.setattr(frozen, name, value)
            make().features_of(pictures(), title="encode")
        assert encode.num_images == SEVEN, name


def test_a_touched_image(make: Any, pictures: Any, paths: list[Path], encode: CountingEncoder) -> None:
    encoders, strict = make(), make(strict=True)
    for chosen in (encoders, strict):
        chosen.features_of(pictures(), title="encode")
    encode.asked.clear()
    os.utime(paths[3], (time.time() + 5, time.time() + 5))
    strict.features_of(pictures(), title="encode")
    assert not encode.asked
    encoders.features_of(pictures(), title="encode")
    assert encode.num_images == SEVEN
    content, state = paths[3].read_bytes(), paths[3].stat()
    Image.new("RGB", (2, 2), (99,) * 3).save(paths[3])
    assert len(paths[3].read_bytes()) == len(content)  # the same size, and now the same time
    os.utime(paths[3], ns=(state.st_atime_ns, state.st_mtime_ns))
    encode.asked.clear()
    assert strict.features_of(pictures(), title="encode").load("clip")[3] == 99
    assert encode.num_images == SEVEN


# ------------------------------------------------------------------------------------------------------------ failing


def test_an_interruption_leaves_nothing(make: Any, pictures: Any, tmp_path: Path, encode: CountingEncoder) -> None:
    def interrupted(images: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        if encode.num_images == 6:
            raise KeyboardInterrupt
        return encode(images, names)

    with pytest.raises(KeyboardInterrupt):
        make(encode=interrupted).features_of(pictures(), title="encode")
    assert not list((tmp_path / "store").glob("??/*")) and not list((tmp_path / "store" / "partial").iterdir())
    encode.asked.clear()
    assert make().features_of(pictures(), title="encode").load("clip").flatten().tolist() == list(range(1, 8))
    assert encode.num_images == SEVEN


def test_a_batch_too_large_for_the_device(make: Any, pictures: Any, encode: CountingEncoder) -> None:
    def small(images: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(images, names)

    found = make(encode=small, batch_size=5).features_of(pictures(), title="encode")
    assert found.load("clip").flatten().tolist() == list(range(1, 8))
    assert [count for count, _ in encode.asked] == [2, 2, 1, 2]


def test_bad_data_sets(make: Any, pictures: Any, paths: list[Path]) -> None:
    encoders = make()
    with pytest.raises(ValueError, match="encode val: no images to encode"):
        encoders.features_of(Pictures([], Brighten(1.0)), title="encode val")
    with pytest.raises(ValueError, match="encode: a Subset has no data_source and transform to store features by"):
        encoders.features_of(Subset(pictures(), [0, 1]), title="encode")

    class Twice(Pictures):
        def __len__(self) -> int:
            return 2 * super().__len__()

    with pytest.raises(ValueError, match="encode: the data set has 14 rows for 7 images"):
        encoders.views_of(Twice(paths, Brighten(1.0)), num_views=1, seed=1, title="encode")
    with pytest.raises(FileNotFoundError, match=r"no image /nowhere\.png"):
        encoders.features_of(Pictures([Path("/nowhere.png")], Brighten(1.0)), title="encode")


# -------------------------------------------------------------------------------------------------- views and memory


@pytest.fixture
def viewed(make: Any, paths: list[Path]) -> FrozenFeatures:
    found: FrozenFeatures = make(dtypes={"maps": torch.float16}).views_of(
        Pictures(paths, AddNoise()), num_views=2, seed=5, title="encode"
    )
    return found


CLIP_BYTES, MAPS_BYTES = 2 * SEVEN * 4, 2 * SEVEN * 12 * 4


@pytest.mark.parametrize(
    ("memory", "in_memory"),
    [
        (0, set()),
        (CLIP_BYTES - 1, set()),
        (CLIP_BYTES, {"clip"}),
        (CLIP_BYTES + MAPS_BYTES - 1, {"clip"}),
        (CLIP_BYTES + MAPS_BYTES, {"clip", "maps"}),
    ],
)
def test_what_fits_is_kept_in_memory(memory: int, in_memory: set[str], viewed: FrozenFeatures) -> None:
    found = viewed.views(memory=memory)
    kinds = {True: ViewsInMemory, False: ViewsOnDisk}
    assert {name: type(views) for name, views in found.items()} == {
        name: kinds[name in in_memory] for name in ("clip", "maps")
    }


def test_batches_from_disk_are_those_from_memory(viewed: FrozenFeatures) -> None:
    epochs = []
    for memory in (0, 1 << 20):
        batches = FeatureBatches(
            viewed.views(memory=memory), viewed.labels_of_images, num_views=2, batch_size=3, seed=1
        )
        shown = []
        for epoch in range(3):
            batches.set_epoch(epoch)
            shown += list(batches)
        epochs.append(shown)
    assert len(epochs[0]) == 9
    for ours, theirs in zip(*epochs, strict=True):
        assert ours.keys() == theirs.keys() == {"clip", "maps", "label"}
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert {ours[name].dtype for name in ("clip", "maps")} == {torch.float32}


def test_memory_for_views(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory_for_views(CPU) == 4 << 30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10 << 30, 80 << 30))
    assert memory_for_views(torch.device("cuda", 0)) == 5 << 30
