"""CLIP as a frozen backbone: official weights by name, or any file in the same layout."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from amu_raft.backbones.encoder_layers import arrange_layers, check_encoder_layers
from amu_raft.backbones.official_weights import CLIP_FILES, official_weights
from amu_raft.backbones.precision import Precision
from amu_raft.backbones.state_files import bundled_weights, load_state_file, sha256_of

BUNDLED_MODELS = {"tiny": "tiny_clip.pt"}
_LAYOUT = (
    "visual.conv1.weight",
    "token_embedding.weight",
    "positional_embedding",
    "ln_final.weight",
    "text_projection",
)


def available_backbones() -> list[str]:
    """Return the names that ``load_clip`` knows besides paths."""
    return [*BUNDLED_MODELS, *CLIP_FILES]


def resolution_of(name: str) -> int:
    """Return the side of a backbone's input in pixels, of a file of unknown make the usual one."""
    return {"tiny": 64, "RN50x4": 288, "RN50x16": 384, "RN50x64": 448, "ViT-L/14@336px": 336}.get(name, 224)


def check_backbone(name: str) -> None:
    """Refuse a backbone that is neither a known name nor a file, before anything is loaded.

    Raises:
        ValueError: Naming the known backbones and the nearest.
    """
    if name in available_backbones() or Path(name).is_file():
        return
    near = get_close_matches(name, available_backbones(), n=1, cutoff=0.6)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise ValueError(f"unknown backbone {name!r}{hint}: neither a file nor one of {', '.join(available_backbones())}")


def check_attention_pooling(name: str) -> None:
    """Refuse a known backbone without attention pooling, before anything is loaded.

    Raises:
        ValueError: If the name is a vision transformer's.
    """
    if name in CLIP_FILES and not name.startswith("RN"):
        _refuse_transformer(name)


def _refuse_transformer(name: str) -> None:
    resnets = ", ".join([*BUNDLED_MODELS, *(other for other in CLIP_FILES if other.startswith("RN"))])
    raise ValueError(f"backbone {name!r} has no attention pooling; backbones with one are {resnets}")


@dataclass
class CLIPBackbone:
    """A frozen CLIP model with what the methods ask of it.

    Attributes:
        model: The ``clip`` package's module, in eval mode, without gradients.
        name: Name or path that it was loaded by.
        sha256: Checksum of its weight file.
        precision: Precision that images and texts are encoded in.
        layers: Layers that a residual tower encodes images with, "folded" or "plain" (``encoder_layers``).
            Folded ones are made of ``model`` with the first images; what changes in it later does not reach them.
    """

    model: Any
    name: str
    sha256: str
    precision: Precision
    layers: str = "folded"

    @property
    def input_resolution(self) -> int:
        """Side of the square input, in pixels."""
        return int(self.model.visual.input_resolution)

    @property
    def feature_dim(self) -> int:
        """Width D of image and text features."""
        return int(self.model.text_projection.shape[1])

    @property
    def logit_scale(self) -> float:
        """Factor on cosine similarities, 100 for every OpenAI model."""
        return float(self.model.logit_scale.detach().float().exp())

    @property
    def attention_pool(self) -> nn.Module:
        """CLIP's own attention pooling.

        Raises:
            ValueError: If the backbone is a vision transformer, which has none.
        """
        if not self._has_attention_pool:
            _refuse_transformer(self.name)
        return self.model.visual.attnpool  # type: ignore[no-any-return]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the feature grid that the attention pooling was made for."""
        rows: Tensor = self.attention_pool.positional_embedding  # type: ignore[assignment]
        side = round((rows.shape[0] - 1) ** 0.5)
        return side, side

    @torch.no_grad()
    def encode_image(self, images: Tensor) -> Tensor:
        """Encode images (N, 3, H, W), normalised for CLIP, to features (N, D) in float32, not normalised.

        Raises:
            ValueError: If the images do not have the backbone's resolution.
        """
        if self._has_attention_pool:
            return self.encode_regions(images)[1]
        self._check_size(images)
        with self.precision.autocast(images.device):
            features: Tensor = self.model.visual(images.to(self._dtype))
        return features.float()

    @torch.no_grad()
    def encode_maps(self, images: Tensor) -> Tensor:
        """Encode images (N, 3, H, W) to the last feature maps before the pooling, (N, E, h, w), in float32.

        Raises:
            ValueError: If the backbone has no attention pooling.
        """
        with self.precision.autocast(images.device):
            maps: Tensor = self._trunk(images.to(self._dtype))
        return maps.float()

    @torch.no_grad()
    def encode_regions(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images (N, 3, H, W) once to what ``encode_maps`` and ``encode_image`` give, to the last digit.

        Raises:
            ValueError: If the backbone has no attention pooling, or the images do not have its resolution.
        """
        pool = self.attention_pool
        self._check_size(images)
        # The pooling reads the maps as they come: rounded to float32 in between, amp would pool other numbers.
        with self.precision.autocast(images.device):
            maps: Tensor = self._trunk(images.to(self._dtype))
            features: Tensor = pool(maps)
        return maps.float(), features.float()

    @torch.no_grad()
    def pool_maps(self, maps: Tensor) -> Tensor:
        """Pool feature maps (N, E, h, w) by CLIP's own attention pooling to features (N, D) in float32.

        Raises:
            ValueError: If the grid does not match the positional embedding.
        """
        check_grid(maps, self.grid)
        with self.precision.autocast(maps.device):
            features: Tensor = self.attention_pool(maps.to(self._dtype))
        return features.float()

    @torch.no_grad()
    def encode_text(self, tokens: Tensor) -> Tensor:
        """Encode tokens (P, 77) to text features (P, D) in float32, not normalised."""
        with self.precision.autocast(tokens.device):
            features: Tensor = self.model.encode_text(tokens)
        return features.float()

    @property
    def _dtype(self) -> torch.dtype:
        return self.model.dtype  # type: ignore[no-any-return]

    @property
    def _has_attention_pool(self) -> bool:
        return isinstance(getattr(self.model.visual, "attnpool", None), nn.Module)

    @cached_property
    def _trunk(self) -> nn.Module:
        """The visual tower without its pooling, in the layers to encode with; the model itself stays as it is."""
        _ = self.attention_pool
        trunk = copy.copy(self.model.visual)
        trunk._modules = {**self.model.visual._modules, "attnpool": nn.Identity()}
        return arrange_layers(trunk, self.layers)

    def _check_size(self, images: Tensor) -> None:
        side = self.input_resolution
        if tuple(images.shape[-2:]) != (side, side):
            height, width = images.shape[-2:]
            raise ValueError(
                f"images of {height} x {width} pixels do not fit backbone {self.name!r}, "
                f"whose input is {side} x {side}; set INPUT.SIZE to ({side}, {side})"
            )


def check_grid(maps: Tensor, grid: tuple[int, int]) -> None:
    """Refuse feature maps whose grid differs from the one the positional embedding was made for.

    Raises:
        ValueError: Naming both grids.
    """
    found = (int(maps.shape[-2]), int(maps.shape[-1]))
    if found != grid:
        raise ValueError(
            f"feature grid {found[0]} x {found[1]} does not match the positional embedding, "
            f"which is for {grid[0]} x {grid[1]}; check INPUT.SIZE against the backbone's resolution"
        )


def load_clip(
    name: str,
    *,
    precision: str = "fp32",
    device: torch.device | str = "cpu",
    weights: Path | str | None = None,
    layers: str = "folded",
    programs: bool = True,
) -> CLIPBackbone:
    """Load a frozen CLIP.

    Args:
        name: One of ``available_backbones()``, or a path to an OpenAI TorchScript archive or to a state dict like it.
        precision: "fp32", "amp" or "fp16".
        device: Where the model goes.
        weights: Folder that holds official weights, or the file itself; if not given they are looked for in
            AMU_RAFT_WEIGHTS and ``~/.cache/clip`` (CLIP_ROOT), and downloaded if they are in neither.
        layers: As for ``CLIPBackbone``.
        programs: Whether the file may be a TorchScript archive, which can run code when it is read.

    Raises:
        ValueError: If name or layers are unknown, a checksum differs, or the file is not in CLIP's layout.
        FileNotFoundError: If official weights are absent and cannot be downloaded, or are not in ``weights``.
    """
    check_encoder_layers(layers)
    path = _weights_path(name, weights)
    chosen = Precision(precision)
    model = _build(load_state_file(path, what="CLIP weights", torchscript=programs), path)
    model = model.float() if chosen.name != "fp16" else model
    model = model.to(device).eval().requires_grad_(False)
    return CLIPBackbone(model=model, name=name, sha256=sha256_of(path), precision=chosen, layers=layers)


def _weights_path(name: str, weights: Path | str | None) -> Path:
    if name in BUNDLED_MODELS:
        return bundled_weights(BUNDLED_MODELS[name])
    if name in CLIP_FILES:
        return official_weights(CLIP_FILES[name], weights)
    check_backbone(name)
    return Path(name)


def _build(state: Any, path: Path) -> Any:
    from amu_raft.backbones.clip_package import clip_model  # a package that may be a checkout of the user's

    state = _state_dict(state)
    missing = [key for key in _LAYOUT if key not in state]
    if missing or not ({"visual.proj", "visual.attnpool.positional_embedding"} & set(state)):
        absent = missing[0] if missing else "visual.proj or visual.attnpool"
        raise ValueError(f"{path} is not in OpenAI's CLIP layout: no {absent}")
    try:
        with _NoInitialValues():
            return clip_model.build_model(dict(state))
    # The package derives sizes from whatever is there: a wrong entry can end in any kind of error.
    except Exception as error:
        raise ValueError(f"{path} is not in OpenAI's CLIP layout: {' '.join(str(error).split())}") from error


class _NoInitialValues(TorchFunctionMode):
    """Leave new weights as they are: drawing those that the file replaces takes half the time of loading."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_) or getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _state_dict(state: Any) -> dict[str, Tensor]:
    """Find the tensors: a bare state dict, or one under a usual key, with or without a "module." prefix."""
    if isinstance(state, Mapping):
        for key in ("state_dict", "model"):
            if isinstance(state.get(key), Mapping):
                state = state[key]
        return {str(key).removeprefix("module."): value for key, value in state.items()}
    return {}
