import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STD
from amu_raft.features.pictures import Item, Pictures, picture_transform
from amu_raft.images.pixels import PixelRecipe


def noise(height: int, width: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


def size(picture: Image.Image) -> torch.Tensor:
    return torch.tensor(picture.size)


def pictures(images: Sequence[Any], transform: Any = size, places: Sequence[int] | None = None) -> Pictures:
    return Pictures(images, list(range(len(images))), transform, places)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Image.fromarray(noise(3, 5)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_picture_is_its_path_or_nothing_and_its_label(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    given = [path, "a.png", "./a.png", noise(4, 6), Image.new("L", (7, 8))]
    found = Pictures(given, [3, 1, 4, 1, 5], size)
    assert found.data_source == [Item(str(path), label) for label in (3, 1, 4)] + [Item("", 1), Item("", 5)]
    assert len(found) == 5 and not found.all_files and pictures([path, "a.png"]).all_files
    assert [item["label"] for item in (found[place] for place in range(5))] == [3, 1, 4, 1, 5]
    assert [found[place]["img"].tolist() for place in (0, 1, 3, 4)] == [[5, 3], [5, 3], [6, 4], [7, 8]]


def test_the_file_that_is_described_is_the_one_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a link ".." is another folder; and "~" is a name as any other, as it is where files are opened."""
    for folder, width in (("here", 2), ("there", 3), ("there/deep", 4), ("here/~", 5)):
        (tmp_path / folder).mkdir()
        Image.fromarray(noise(1, width)).save(tmp_path / folder / "a.png")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there" / "deep")
    monkeypatch.chdir(tmp_path / "here")
    found = pictures(["link/../a.png", "~/a.png", "a.png"])
    monkeypatch.chdir(tmp_path)
    described = [Image.open(item.impath).width for item in found.data_source]
    monkeypatch.chdir(tmp_path / "here")
    assert described == [found[place]["img"][0] for place in range(3)] == [3, 5, 2]


def test_there_is_one_label_per_picture() -> None:
    with pytest.raises(ValueError, match="zip"):
        Pictures([noise(2, 2)], [1, 2], size)


def test_what_cannot_be_read_is_named_by_the_callers_number(path: Path) -> None:
    path.with_name("b.png").write_text("no picture")
    found = pictures([noise(2, 2), np.zeros((2, 2)), path.with_name("b.png")], places=[5, 8, 9])
    with pytest.raises(ValueError, match="image 8 has values of type float64"):
        found[1]
    with pytest.raises(OSError, match=r"b\.png"):
        found[2]
    with pytest.raises(ValueError, match="image 1 has values of type float64"):
        pictures(found.images)[1]


def test_other_pictures_have_another_description(path: Path) -> None:
    def told(*images: Any) -> Any:
        return pictures(images).identity(strict=False)

    one, two = noise(4, 4, 1), noise(4, 4, 2)
    base = told(one, two)
    same = [told(one.copy(), two), told(Image.fromarray(one), two), Pictures([one, two], [7, 7], size, [3, 4])]
    assert [found if isinstance(found, dict) else found.identity(strict=False) for found in same] == [base] * 3
    changed = one.copy()
    changed[3, 3, 2] ^= 1
    others = [told(two, one), told(one), told(one, two, two), told(changed, two), told(one.reshape(2, 8, 3), two)]
    others += [told(path, two), told(one, path), told(path, path)]
    texts = [repr(sorted(found.items())) for found in [base, *others]]
    assert len(set(texts)) == len(texts)
    assert base["count"] == 2 and told(path, two)["count"] == 2


def test_a_file_is_described_by_its_state_or_strictly_by_its_content(path: Path) -> None:
    before = {strict: pictures([path]).identity(strict=strict) for strict in (False, True)}
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(1, 1))
    changed = {strict: pictures([path]).identity(strict=strict) for strict in (False, True)}
    path.write_bytes(content)
    os.utime(path, ns=(2, 2))
    again = {strict: pictures([path]).identity(strict=strict) for strict in (False, True)}
    assert before[True] == again[True] != changed[True]
    assert len({str(found[False]) for found in (before, changed, again)}) == 3


# --------------------------------------------------------------------------------------------------------- transforms


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([16, 33, 64]))
def test_validation_pictures_are_seen_as_predictions_see_them(height: int, width: int, side: int) -> None:
    picture = Image.fromarray(noise(height, width))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    expected = (PixelRecipe(side, "bicubic").pixels(picture) - mean) / std
    torch.testing.assert_close(picture_transform(side)(picture), expected, rtol=0, atol=1e-6)


def test_training_pictures_are_augmented_as_they_are_told() -> None:
    picture = Image.fromarray(noise(64, 64))
    whole = picture_transform(64)(picture)
    flip, crop = (
        picture_transform(64, names, (0.1, 0.2)) for names in (("random_flip", "normalize"), ("random_resized_crop",))
    )
    found = {str(flip(picture).flatten().tolist()) for _ in range(20)}
    assert found == {str(values.flatten().tolist()) for values in (whole, whole.flip(2))}
    pixels = crop(picture)
    assert pixels.shape == (3, 64, 64) and pixels.min() >= 0 and pixels.max() <= 1  # not normalised
    torch.testing.assert_close(picture_transform(64, ("normalize",))(picture), whole)


def test_the_size_of_crops_is_told() -> None:
    """Of a picture whose columns count up a crop shows as many as are in it."""
    columns = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 64, 3))
    picture = Image.fromarray(np.ascontiguousarray(columns))
    shares = {}
    for scale in ((0.05, 0.1), (0.95, 1.0)):
        crop = picture_transform(64, ("random_resized_crop",), scale)
        seen = [crop(picture)[0, 0] for _ in range(10)]
        shares[scale] = [float(row.max() - row.min()) * 255 / 4 / 64 for row in seen]
    assert max(shares[(0.05, 0.1)]) < 0.5 < 0.8 < min(shares[(0.95, 1.0)])


def test_transforms_are_made_once() -> None:
    assert picture_transform(64, ("normalize",), (0.5, 1.0)) is picture_transform(64, ("normalize",), (0.5, 1.0))
    assert picture_transform(64) is not picture_transform(32)


def test_an_unknown_augmentation_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"Unknown transforms \['turn'\]; choose from "):
        picture_transform(64, ("turn", "normalize"))
