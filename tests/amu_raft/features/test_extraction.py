from typing import Any

import pytest
import torch
from torch import Tensor

from amu_raft.features.extraction import Features, encode_batches, encode_within_memory, merge_batches, part_for_cpu
from amu_raft.progress import progress

CPU = torch.device("cpu")


def loader(*sizes: int) -> list[dict[str, Any]]:
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [
        {
            "img": torch.arange(start, start + size).float().view(size, 1, 1, 1).expand(size, 3, 2, 2),
            "label": torch.arange(start, start + size),
        }
        for start, size in zip(starts, sizes, strict=True)
    ]


def encode(images: Tensor) -> dict[str, Tensor]:
    return {"mean": images.mean(dim=(1, 2, 3)).unsqueeze(1), "flat": images.flatten(1).half()}


def test_features_come_in_the_loaders_order() -> None:
    features, labels = merge_batches(list(encode_batches(loader(3, 3, 1), encode, CPU, title="encode")))
    assert labels.tolist() == list(range(7))
    assert features["mean"].flatten().tolist() == list(range(7))
    assert features["flat"].shape == (7, 12) and features["flat"].dtype == torch.float16


def test_batches_are_encoded_one_at_a_time_without_gradient() -> None:
    weight = torch.ones(1, requires_grad=True)
    seen = []

    def counting(images: Tensor) -> dict[str, Tensor]:
        seen.append(len(images))
        return {"out": images.mean() * weight}

    stream = encode_batches(loader(2, 2), counting, CPU, title="encode")
    assert not next(stream)[0]["out"].requires_grad and seen == [2]
    assert torch.is_grad_enabled()
    next(stream)
    assert seen == [2, 2]


class SmallDevice:
    """Encodes as many images at once as it has room for; with no room for one it fails as CUDA does."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        self.tried.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(images)


@pytest.mark.parametrize(
    ("room", "tried"), [(7, [7]), (4, [7, 4, 3]), (2, [7, 4, 2, 2, 2, 1]), (1, [7, 4, 2, *[1] * 7])]
)
def test_a_batch_that_does_not_fit_is_encoded_in_parts(room: int, tried: list[int]) -> None:
    device = SmallDevice(room)
    [batch] = loader(7)
    features, size = encode_within_memory(batch["img"], device, at_most=7)
    assert device.tried == tried and size == max(count for count in tried if count <= room)
    expected = encode(batch["img"])
    assert features.keys() == expected.keys()
    assert all(torch.equal(features[name], expected[name]) for name in expected)


def test_what_did_not_fit_is_not_tried_again() -> None:
    device = SmallDevice(2)
    features, labels = merge_batches(list(encode_batches(loader(4, 4, 1, 4), device, CPU, title="encode")))
    assert device.tried == [4, 2, 2, 2, 2, 1, 2, 2]
    assert labels.tolist() == features["mean"].flatten().tolist() == list(range(13))


def test_a_short_batch_does_not_make_later_ones_smaller() -> None:
    device = SmallDevice(4)
    list(encode_batches(loader(1, 4), device, CPU, title="encode"))
    assert device.tried == [1, 4]


def test_an_image_that_does_not_fit_alone() -> None:
    device = SmallDevice(0)
    with pytest.raises(torch.OutOfMemoryError, match="CUDA out of memory"):
        next(encode_batches(loader(4), device, CPU, title="encode"))
    assert device.tried == [4, 2, 1]


def test_other_errors_are_not_tried_again() -> None:
    tried = []

    def broken(images: Tensor) -> dict[str, Tensor]:
        tried.append(len(images))
        raise RuntimeError("no kernel")

    with pytest.raises(RuntimeError, match="no kernel"):
        next(encode_batches(loader(4), broken, CPU, title="encode"))
    assert tried == [4]


def test_no_bar_without_a_terminal_or_when_bars_are_switched_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress([1, 2], "title")) == [1, 2]
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(progress(iter("ab"), "title")) == ["a", "b"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("side", "part"), [(224, 10), (64, 128), (4096, 1)])
def test_a_cpu_encodes_parts_whose_first_layer_fits_one_block_of_malloc(side: int, part: int) -> None:
    # 64 channels in float32 at half the side: 224 pixels make 3.2 MB an image, of which ten fit 32 MiB.
    assert part_for_cpu(torch.empty(1, 3, side, side, device="meta")) == part


def test_a_cpu_encodes_a_large_batch_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def encode(images: Tensor) -> Features:
        sizes.append(len(images))
        return {"sum": images.sum(dim=(1, 2, 3))}

    monkeypatch.setattr("amu_raft.features.extraction.part_for_cpu", lambda images: 2)
    batches = [
        {"img": torch.rand(5, 3, 4, 4), "label": torch.zeros(5)},
        {"img": torch.rand(1, 3, 4, 4), "label": torch.zeros(1)},
    ]
    found = list(encode_batches(batches, encode, torch.device("cpu"), title="encode"))
    assert sizes == [2, 2, 1, 1]
    for batch, (features, _) in zip(batches, found, strict=True):
        assert torch.equal(features["sum"], batch["img"].sum(dim=(1, 2, 3)))
