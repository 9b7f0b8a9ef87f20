"""Building the transforms of ``cfg.INPUT``. Their order is fixed, whatever the order of the list."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from torchvision import transforms as T  # type: ignore[import-untyped]
from torchvision.transforms import InterpolationMode  # type: ignore[import-untyped]
from yacs.config import CfgNode

from dassl.config.defaults import get_cfg_default
from dassl.data.transforms.random_image import (
    Cutout,
    GaussianNoise,
    InstanceNormalization,
    Random2DTranslation,
)

INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}

AVAI_CHOICES = [
    "random_flip",
    "random_resized_crop",
    "normalize",
    "instance_norm",
    "random_crop",
    "random_translation",
    "center_crop",  # accepted; the test transform crops the centre in any case
    "cutout",
    "imagenet_policy",
    "cifar10_policy",
    "svhn_policy",
    "randaugment",
    "randaugment_fixmatch",
    "randaugment2",
    "gaussian_noise",
    "colorjitter",
    "randomgrayscale",
    "gaussian_blur",
]

Step = tuple[str, Callable[..., Any]]
"""A line for the log, and the transform that it describes."""


def build_transform(cfg: CfgNode, is_train: bool = True, choices: Sequence[str] | None = None) -> Any:
    """Return the transform of an RGB image that the configuration describes.

    Args:
        cfg: The configuration; its INPUT node counts.
        is_train: For training; the test transform only resizes, crops the centre and normalises.
        choices: Used in place of INPUT.TRANSFORMS.

    Returns:
        A torchvision Compose, or None if INPUT.NO_TRANSFORM is set.

    Raises:
        AssertionError: If a name is unknown.
        ValueError: If INPUT.INTERPOLATION is unknown, or a name is only offered by upstream Dassl.
    """
    if cfg.INPUT.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    steps = transform_steps(cfg.INPUT, cfg.INPUT.TRANSFORMS if choices is None else choices, is_train=is_train)
    print(f"Building transform_{'train' if is_train else 'test'}")
    for line, _ in steps:
        print(f"+ {line}")
    return T.Compose([step for _, step in steps])


def usual_input(**changes: Any) -> SimpleNamespace:
    """Return what ``transform_steps`` reads, with the toolbox's usual values but for the changes."""
    return SimpleNamespace(**{**get_cfg_default().INPUT, **changes})


def transform_steps(inp: Any, names: Sequence[str], *, is_train: bool) -> list[Step]:
    """Return the steps of a transform, of which torchvision's Compose makes one.

    Args:
        inp: Anything with the attributes of the INPUT node that the steps read.
        names: As in INPUT.TRANSFORMS.
        is_train: For training.

    Raises:
        AssertionError: If a name is unknown.
        ValueError: If the interpolation is unknown, or a name is only offered by upstream Dassl.
    """
    unknown = [name for name in names if name not in AVAI_CHOICES]
    if unknown:
        raise AssertionError(f"Unknown transforms {unknown}; choose from {AVAI_CHOICES}")
    if inp.INTERPOLATION not in INTERPOLATION_MODES:
        raise ValueError(f"INPUT.INTERPOLATION must be one of {list(INTERPOLATION_MODES)}, but got {inp.INTERPOLATION}")
    return _train_steps(inp, list(names)) if is_train else _test_steps(inp, list(names))


def _train_steps(inp: Any, names: list[str]) -> list[Step]:
    before = [
        name
        for name in (
            "random_translation",
            "random_crop",
            "random_resized_crop",
            "random_flip",
            "imagenet_policy",
            "cifar10_policy",
            "svhn_policy",
            "randaugment",
            "randaugment_fixmatch",
            "randaugment2",
            "colorjitter",
            "randomgrayscale",
            "gaussian_blur",
        )
        if name in names
    ]
    after = [name for name in ("cutout", "normalize", "gaussian_noise", "instance_norm") if name in names]
    steps: list[Step] = []
    if "random_crop" not in names and "random_resized_crop" not in names:
        height, width = inp.SIZE
        mode = INTERPOLATION_MODES[inp.INTERPOLATION]
        steps.append((f"resize to {height}x{width}", T.Resize(tuple(inp.SIZE), interpolation=mode)))
    steps += [_step(name, inp) for name in before]
    steps.append(_to_tensor())
    steps += [_step(name, inp) for name in after]
    return steps


def _test_steps(inp: Any, names: list[str]) -> list[Step]:
    height, width = inp.SIZE
    mode = INTERPOLATION_MODES[inp.INTERPOLATION]
    edge = max(height, width)
    steps: list[Step] = [
        (f"resize the smaller edge to {edge}", T.Resize(edge, interpolation=mode)),
        (f"{height}x{width} center crop", T.CenterCrop(tuple(inp.SIZE))),
        _to_tensor(),
    ]
    return steps + [_step(name, inp) for name in ("normalize", "instance_norm") if name in names]


def _to_tensor() -> Step:
    return "to torch tensor of range [0, 1]", T.ToTensor()


def _step(name: str, inp: Any) -> Step:
    if name not in _STEPS:
        raise ValueError(
            f"Transform {name} belongs to methods that only upstream Dassl carries; use randaugment instead"
        )
    return _STEPS[name](inp)


def _translation(inp: Any) -> Step:
    height, width = inp.SIZE
    return "random translation", Random2DTranslation(
        height, width, interpolation=INTERPOLATION_MODES[inp.INTERPOLATION]
    )


def _random_crop(inp: Any) -> Step:
    crop = T.RandomCrop(tuple(inp.SIZE), padding=inp.CROP_PADDING)
    return f"random crop (padding = {inp.CROP_PADDING})", crop


def _random_resized_crop(inp: Any) -> Step:
    mode = INTERPOLATION_MODES[inp.INTERPOLATION]
    crop = T.RandomResizedCrop(tuple(inp.SIZE), scale=tuple(inp.RRCROP_SCALE), interpolation=mode)
    return f"random resized crop (size={inp.SIZE}, scale={inp.RRCROP_SCALE})", crop


def _policy(policy: T.AutoAugmentPolicy, line: str) -> Callable[[Any], Step]:
    return lambda inp: (line, T.AutoAugment(policy, interpolation=INTERPOLATION_MODES[inp.INTERPOLATION]))


def _randaugment(inp: Any) -> Step:
    if not 0 <= inp.RANDAUGMENT_M <= 30:
        raise ValueError(f"INPUT.RANDAUGMENT_M must be from 0 to 30, but got {inp.RANDAUGMENT_M}")
    line = f"randaugment (n={inp.RANDAUGMENT_N}, m={inp.RANDAUGMENT_M})"
    return line, T.RandAugment(num_ops=inp.RANDAUGMENT_N, magnitude=inp.RANDAUGMENT_M)


def _color_jitter(inp: Any) -> Step:
    b, c, s, h = inp.COLORJITTER_B, inp.COLORJITTER_C, inp.COLORJITTER_S, inp.COLORJITTER_H
    line = f"color jitter (brightness={b}, contrast={c}, saturation={s}, hue={h})"
    return line, T.ColorJitter(brightness=b, contrast=c, saturation=s, hue=h)


def _gaussian_blur(inp: Any) -> Step:
    return f"gaussian blur (kernel={inp.GB_K}, p={inp.GB_P})", T.RandomApply([T.GaussianBlur(inp.GB_K)], p=inp.GB_P)


def _cutout(inp: Any) -> Step:
    line = f"cutout (n_holes={inp.CUTOUT_N}, length={inp.CUTOUT_LEN})"
    return line, Cutout(inp.CUTOUT_N, inp.CUTOUT_LEN)


def _normalize(inp: Any) -> Step:
    line = f"normalization (mean={inp.PIXEL_MEAN}, std={inp.PIXEL_STD})"
    return line, T.Normalize(mean=list(inp.PIXEL_MEAN), std=list(inp.PIXEL_STD))


def _gaussian_noise(inp: Any) -> Step:
    return f"gaussian noise (mean={inp.GN_MEAN}, std={inp.GN_STD})", GaussianNoise(inp.GN_MEAN, inp.GN_STD)


_STEPS: dict[str, Callable[[Any], Step]] = {
    "random_translation": _translation,
    "random_crop": _random_crop,
    "random_resized_crop": _random_resized_crop,
    "random_flip": lambda inp: ("random flip", T.RandomHorizontalFlip()),
    "imagenet_policy": _policy(T.AutoAugmentPolicy.IMAGENET, "imagenet policy"),
    "cifar10_policy": _policy(T.AutoAugmentPolicy.CIFAR10, "cifar10 policy"),
    "svhn_policy": _policy(T.AutoAugmentPolicy.SVHN, "svhn policy"),
    "randaugment": _randaugment,
    "colorjitter": _color_jitter,
    "randomgrayscale": lambda inp: ("random gray scale", T.RandomGrayscale(p=inp.RGS_P)),
    "gaussian_blur": _gaussian_blur,
    "cutout": _cutout,
    "normalize": _normalize,
    "gaussian_noise": _gaussian_noise,
    "instance_norm": lambda inp: ("instance normalization", InstanceNormalization()),
}
