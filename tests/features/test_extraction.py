from typing import Any

import pytest
import torch
from torch import Tensor

from features import extraction
from features.extraction import bytes_per_image, check_memory, encode_all, encode_batches, progress

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
    features, labels = encode_all(loader(3, 3, 1), encode, CPU, title="encode", num_images=7)
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


def test_no_images() -> None:
    with pytest.raises(ValueError, match="encode nothing: no images to encode"):
        encode_all([], encode, CPU, title="encode nothing", num_images=0)


def test_bytes_per_image_by_hand() -> None:
    features = {"clip": torch.zeros(4, 10), "maps": torch.zeros(4, 2, 3, 3).half()}
    assert bytes_per_image(features, 4) == 10 * 4 + 18 * 2


def test_memory_is_refused_after_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []

    def counting(images: Tensor) -> dict[str, Tensor]:
        encoded.append(len(images))
        return encode(images)

    size = 4 + 12 * 2
    monkeypatch.setattr(extraction, "MEMORY_LIMIT", 7 * size)
    assert len(encode_all(loader(4, 3), counting, CPU, title="encode", num_images=7)[1]) == 7
    encoded.clear()
    monkeypatch.setattr(extraction, "MEMORY_LIMIT", 7 * size - 1)
    with pytest.raises(
        ValueError, match=r"features of 7 images need 0\.0 GiB of memory.*use TRAIN.VIEWS online or fewer views"
    ):
        encode_all(loader(4, 3), counting, CPU, title="encode", num_images=7)
    assert encoded == [4]


def test_the_real_limit() -> None:
    maps = {"maps": torch.zeros(1, 2048, 7, 7)}  # RN50's, 392 KiB an image
    check_memory(maps, 1, 10_000, title="views")
    with pytest.raises(ValueError, match=r"views: features of 16000 images need 6\.0 GiB of memory, more than 4 GiB"):
        check_memory(maps, 1, 16_000, title="views")


def test_no_bar_without_a_terminal_or_when_bars_are_switched_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress([1, 2], "title")) == [1, 2]
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(progress(iter("ab"), "title")) == ["a", "b"]
    assert capsys.readouterr().err == ""
