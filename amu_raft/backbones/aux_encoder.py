"""Auxiliary encoders: residual networks in torchvision's layout whose pooled features are never trained."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amu_raft.backbones.encoder_layers import arrange_layers, check_encoder_layers
from amu_raft.backbones.official_weights import AUX_FILES, official_weights
from amu_raft.backbones.preprocess import IMAGENET_MEAN, IMAGENET_STD
from amu_raft.backbones.residual_network import BasicBlock, Bottleneck, ResidualNetwork
from amu_raft.backbones.state_files import bundled_weights, load_state_file, sha256_of

_FIRST_BLOCK = "layer1.0.conv1.weight"
_NESTS = ("state_dict", "model")
# The trained branch of a checkpoint that also holds a momentum branch.
_TRAINED_BRANCHES = ("module.base_encoder.", "base_encoder.", "module.encoder_q.", "encoder_q.")
_HEADS = ("fc.", "head.", "projector.", "predictor.")
_RESOLUTION = "input_resolution"


class AuxEncoder(nn.Module):
    """A frozen encoder; it stays in evaluation mode whatever ``train`` is called with.

    Attributes:
        name: What messages call it.
        feature_dim: Width F of its features.
        mean: Channel means that its input is normalised with, RGB, 0 to 1.
        std: Channel standard deviations likewise.
        sha256: Checksum of its weight file, "" if it was not read from one.
        layers: Layers that it encodes with, "folded" or "plain" (``encoder_layers``). Folded ones are made of
            ``network``, which stays plain, with the first images.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        name: str,
        feature_dim: int,
        input_resolution: int | None = None,
        layers: str = "folded",
    ) -> None:
        check_encoder_layers(layers)
        super().__init__()
        self.network = network.requires_grad_(False)
        self.name = name
        self.feature_dim = feature_dim
        self.mean = IMAGENET_MEAN
        self.std = IMAGENET_STD
        self.sha256 = ""
        self.layers = layers
        self.input_resolution = input_resolution
        self.eval()

    def train(self, mode: bool = True) -> "AuxEncoder":
        """Stay in evaluation mode: batch statistics of a few shots would change the features."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images.

        Args:
            images: (N, 3, H, W), normalised with ``mean`` and ``std``; resized here if the encoder has a fixed input
                resolution.

        Returns:
            Pooled features, (N, F), not normalised.
        """
        if self.input_resolution is not None:
            size = (self.input_resolution, self.input_resolution)
            images = F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)
        features: Tensor = self._arranged(images)
        return features

    @cached_property
    def _arranged(self) -> nn.Module:
        """The network in the layers to encode with; not a registered module, so no entries in the state dict."""
        return arrange_layers(self.network, self.layers)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "AuxEncoder":
        """Move or convert the weights; layers made of them before are made anew."""
        self.__dict__.pop("_arranged", None)
        return cast("AuxEncoder", super()._apply(fn, recurse))  # type: ignore[no-untyped-call]


def load_aux_encoder(name_or_path: str, *, weights: Path | str | None = None, layers: str = "folded") -> AuxEncoder:
    """Load an auxiliary encoder.

    Args:
        name_or_path: "tiny" (bundled), "mocov3_rn50" (official, downloaded at first use), or the path of a checkpoint
            with the state dict of a torchvision residual network: bare, or as MoCo saves it.
        weights: Folder that holds official weights, or the file itself; if not given they are looked for in
            AMU_RAFT_WEIGHTS and the project's cache, and downloaded if they are in neither.
        layers: As for ``AuxEncoder``.

    Raises:
        FileNotFoundError: If there is no such file, or official weights cannot be downloaded or are not in ``weights``.
        ValueError: If the file is damaged or is not the state dict of such a network, or the layers are unknown.
    """
    check_encoder_layers(layers)
    path = _weights_path(name_or_path, weights)
    try:
        encoder = _encoder_from(_encoder_state(load_state_file(path, what="aux encoder")), name=name_or_path)
    except ValueError as error:
        message = str(error)
        raise ValueError(message if str(path) in message else f"aux encoder {path}: {message}") from error
    encoder.sha256, encoder.layers = sha256_of(path), layers
    return encoder


def _weights_path(name: str, weights: Path | str | None) -> Path:
    if name == "tiny":
        return bundled_weights("tiny_aux.pt")
    if name in AUX_FILES:
        return official_weights(AUX_FILES[name], weights)
    path = Path(name).expanduser()
    if not path.is_file():
        accepted = ", ".join(["tiny", *AUX_FILES])
        raise FileNotFoundError(f"no aux encoder {name!r}; accepted: {accepted} or a checkpoint path")
    return path


def _encoder_state(loaded: object) -> dict[str, Tensor]:
    """Find the encoder's entries in a checkpoint: out of its nest, without prefix and heads."""
    for nest in _NESTS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(nest), Mapping):
            loaded = loaded[nest]
    if not isinstance(loaded, Mapping):
        raise ValueError(f"a state dict is wanted, not a {type(loaded).__name__}")
    prefix = _prefix(str(key) for key in loaded)
    inside = {str(key).removeprefix(prefix): value for key, value in loaded.items() if str(key).startswith(prefix)}
    state = {key: value for key, value in inside.items() if not key.startswith(_HEADS)}
    wrong = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if wrong:
        raise ValueError(f"entry {wrong[0]!r} is a {type(state[wrong[0]]).__name__}, not a tensor")
    return state


def _prefix(keys: Iterable[str]) -> str:
    """Return what stands before the encoder's parameter names."""
    prefixes = sorted(key.removesuffix(_FIRST_BLOCK) for key in keys if key.endswith(_FIRST_BLOCK))
    if not prefixes:
        raise ValueError(f"no residual network of torchvision's layout: there is no entry {_FIRST_BLOCK!r}")
    trained = [prefix for prefix in prefixes if prefix in _TRAINED_BRANCHES]
    chosen = prefixes if len(prefixes) == 1 else trained
    if len(chosen) != 1:
        raise ValueError(f"several encoders, under {', '.join(map(repr, prefixes))}; keep one of them in the file")
    return chosen[0]


def _encoder_from(state: dict[str, Tensor], *, name: str) -> AuxEncoder:
    """Build the network whose parameters these are and fill it."""
    resolution = state.pop(_RESOLUTION, None)
    bottleneck = "layer1.0.conv3.weight" in state
    widths = [_size(state, f"layer{i}.0.conv{3 if bottleneck else 1}.weight", 0) for i in (1, 2, 3, 4)]
    expansion = Bottleneck.expansion if bottleneck else BasicBlock.expansion
    widths = [width // expansion for width in widths]
    groups, width_per_group = 1, 64
    if bottleneck:
        inner, inner_per_group = (_size(state, "layer1.0.conv2.weight", axis) for axis in (0, 1))
        groups = inner // max(1, inner_per_group)
        width_per_group = inner * 64 // max(1, widths[0] * groups)
    kernel = _size(state, "conv1.weight", 3)
    if resolution is None and kernel != 7:
        raise ValueError(f"'conv1.weight' has a {kernel} x {kernel} kernel; without {_RESOLUTION!r} it must be 7 x 7")
    with torch.device("meta"):
        network = ResidualNetwork(
            Bottleneck if bottleneck else BasicBlock,
            [len({key.split(".")[1] for key in state if key.startswith(f"layer{i}.")}) for i in (1, 2, 3, 4)],
            widths=widths,
            stem_width=_size(state, "conv1.weight", 0),
            stem_kernel=kernel,
            max_pool=resolution is None,
            groups=groups,
            width_per_group=width_per_group,
        )
    _fill(network, state)
    input_resolution = None if resolution is None else int(resolution)
    return AuxEncoder(network, name=name, feature_dim=widths[3] * expansion, input_resolution=input_resolution)


def _size(state: Mapping[str, Tensor], key: str, axis: int) -> int:
    if key not in state or state[key].dim() != 4:
        raise ValueError(f"the architecture cannot be derived: {key!r} is missing or no convolution")
    return state[key].shape[axis]


def _fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load float32 copies of all entries into a network on the meta device."""
    expected = network.state_dict()
    counters = {key for key in expected if key.endswith("num_batches_tracked")}  # older checkpoints have none
    for problem, keys in (
        ("missing", expected.keys() - state.keys() - counters),
        ("unexpected", state.keys() - expected.keys()),
        (
            "of another shape than the rest implies",
            {k for k in state if k in expected and state[k].shape != expected[k].shape},
        ),
    ):
        if keys:
            shown = ", ".join(sorted(keys)[:4])
            raise ValueError(f"{len(keys)} entries are {problem}: {shown}{', ...' if len(keys) > 4 else ''}")
    floats = {key: state[key].float() for key in expected.keys() - counters}
    network.load_state_dict({**floats, **{key: torch.tensor(0) for key in counters}}, assign=True)
