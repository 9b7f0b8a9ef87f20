from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dassl.data.transforms import INTERPOLATION_MODES, build_transform
from dassl.data.transforms.random_image import Cutout, GaussianNoise, InstanceNormalization, Random2DTranslation
from dassl.data.transforms.transforms import AVAI_CHOICES
from dassl.utils import set_random_seed

UPSTREAM_ONLY = ["randaugment_fixmatch", "randaugment2"]
ORDER = "normalize cutout gaussian_noise instance_norm random_flip random_resized_crop colorjitter randomgrayscale"


@pytest.fixture(scope="module")
def image(image_dir: Path) -> Image.Image:
    return Image.open(image_dir / "c0_00.png").convert("RGB")


def summary(tensor: torch.Tensor) -> list[Any]:
    wide = tensor.double()
    return [list(tensor.shape), str(tensor.dtype), round(wide.sum().item(), 4), round(wide.abs().sum().item(), 4)]


@pytest.mark.parametrize("name", [name for name in AVAI_CHOICES if name not in UPSTREAM_ONLY])
def test_each_transform(
    name: str, image: Image.Image, make_cfg: Callable[..., Any], recorded: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    transform = build_transform(make_cfg(INPUT__SIZE=(32, 32), INPUT__TRANSFORMS=[name], INPUT__GB_K=3))
    text = capsys.readouterr().out
    results = []
    for seed in range(4):
        set_random_seed(seed)
        results.append(summary(transform(image)))
    assert all(result[:2] == [[3, 32, 32], "torch.float32"] for result in results)
    set_random_seed(3)
    assert summary(transform(image)) == results[3]
    record = recorded["items"].get(f"transforms/{name}")
    if isinstance(record, list):
        assert [[type(step).__name__ for step in transform.transforms], text, results] == record


@pytest.mark.parametrize(
    ("record", "names"),
    [("order_train", ORDER.split()), ("coop_train_train", ["random_resized_crop", "random_flip", "normalize"])],
)
def test_order_is_fixed(
    record: str,
    names: list[str],
    image: Image.Image,
    make_cfg: Callable[..., Any],
    recorded: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cfg = make_cfg(INPUT__SIZE=(32, 24), INPUT__TRANSFORMS=names, INPUT__INTERPOLATION="bicubic")
    transform = build_transform(cfg)
    set_random_seed(1)
    here = [[type(step).__name__ for step in transform.transforms], capsys.readouterr().out, summary(transform(image))]
    assert here == recorded["items"][f"transforms/{record}"]


def test_test_transform_ignores_random_steps(
    image: Image.Image, make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = make_cfg(INPUT__SIZE=(32, 24), INPUT__TRANSFORMS=ORDER.split())
    transform = build_transform(cfg, is_train=False)
    kinds = [type(step).__name__ for step in transform.transforms]
    assert kinds == ["Resize", "CenterCrop", "ToTensor", "Normalize", "InstanceNormalization"]
    assert transform(image).shape == (3, 32, 24)
    assert capsys.readouterr().out.splitlines()[:3] == [
        "Building transform_test",
        "+ resize the smaller edge to 32",
        "+ 32x24 center crop",
    ]


def test_choices_replace_the_list(make_cfg: Callable[..., Any]) -> None:
    transform = build_transform(make_cfg(INPUT__TRANSFORMS=["random_flip"]), choices=["normalize"])
    assert [type(step).__name__ for step in transform.transforms] == ["Resize", "ToTensor", "Normalize"]


def test_no_transform(make_cfg: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert build_transform(make_cfg(INPUT__NO_TRANSFORM=True)) is None
    assert "no transform is applied" in capsys.readouterr().out


def test_interpolations() -> None:
    assert sorted(INTERPOLATION_MODES) == ["bicubic", "bilinear", "nearest"]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"INPUT__TRANSFORMS": ["nope"]}, AssertionError, r"Unknown transforms \['nope'\]; choose from"),
        ({"INPUT__INTERPOLATION": "nope"}, ValueError, "INTERPOLATION must be one of .* but got nope"),
        ({"INPUT__TRANSFORMS": ["randaugment"], "INPUT__RANDAUGMENT_M": 31}, ValueError, "from 0 to 30, but got 31"),
        ({"INPUT__TRANSFORMS": UPSTREAM_ONLY[:1]}, ValueError, "randaugment_fixmatch belongs to methods that only"),
        ({"INPUT__TRANSFORMS": UPSTREAM_ONLY[1:]}, ValueError, "randaugment2 belongs to methods that only"),
    ],
)
def test_errors(changes: Any, error: type[Exception], text: str, make_cfg: Callable[..., Any]) -> None:
    with pytest.raises(error, match=text):
        build_transform(make_cfg(**changes))


def test_translation_is_a_resize_or_a_shifted_cut(image: Image.Image) -> None:
    resize = Random2DTranslation(32, 16, p=0.0)
    assert resize(image).size == (16, 32)
    set_random_seed(0)
    cuts = {Random2DTranslation(32, 16, p=1.0)(image).tobytes() for _ in range(20)}
    assert 2 <= len(cuts) <= 5 * 3  # offsets 0..4 and 0..2
    assert resize(image).tobytes() not in cuts


def test_cutout_makes_square_holes() -> None:
    np.random.seed(0)
    centre = (np.random.randint(20), np.random.randint(30))
    np.random.seed(0)
    holes = Cutout(1, 4)(torch.ones(3, 20, 30))[0] == 0
    expected = torch.zeros(20, 30, dtype=torch.bool)
    expected[max(centre[0] - 2, 0) : centre[0] + 2, max(centre[1] - 2, 0) : centre[1] + 2] = True
    assert torch.equal(holes, expected)


def test_noise_has_the_given_moments() -> None:
    torch.manual_seed(0)
    still = torch.zeros(3, 100, 100)
    noisy = GaussianNoise(0.5, 0.15, p=1.0)(still)
    assert noisy.mean().item() == pytest.approx(0.5, abs=0.01)
    assert noisy.std().item() == pytest.approx(0.15, abs=0.01)
    assert torch.equal(GaussianNoise(0.5, 0.15, p=-1.0)(still), still)


def test_instance_norm() -> None:
    torch.manual_seed(0)
    normal = InstanceNormalization()(torch.rand(3, 8, 8) * 5 + 2)
    assert torch.allclose(normal.mean(dim=(1, 2)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(normal.std(dim=(1, 2)), torch.ones(3), atol=1e-5)
    assert not InstanceNormalization()(torch.full((3, 2, 2), 0.5)).any()
