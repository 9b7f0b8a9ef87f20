from typing import Any

import pytest
import torch
from torch import Tensor

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, renormalize
from amu_raft.features.encoders import Encoders


class Brightness:
    """A feature that no encoder gives."""

    def __init__(self, power: float = 1.0) -> None:
        self.power = power

    def identity(self) -> dict[str, Any]:
        return {"name": "brightness", "power": self.power}

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3)) ** self.power


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return load_clip("tiny", precision="fp32", device="cpu")


PIXELS = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
IMAGES = renormalize(PIXELS, IDENTITY, CLIP_STATISTICS)


def test_features_are_those_that_are_read_and_asked_for(backbone: CLIPBackbone) -> None:
    encoders = Encoders(
        backbone,
        ("clip", "maps", "aux", "light"),
        aux_encoder=load_aux_encoder("tiny"),
        readers={"light": Brightness()},
    )
    whole = encoders.encode(IMAGES)
    assert set(whole) == {"clip", "maps", "aux", "light"} == encoders.identities().keys()
    for names in (["clip"], ["maps"], ["aux", "light"], ["maps", "clip"], []):
        found = encoders.encode(IMAGES, names)
        assert set(found) == set(names)
        for name in names:
            torch.testing.assert_close(found[name], whole[name])
    torch.testing.assert_close(whole["light"], PIXELS.mean(dim=(2, 3)))  # a reader sees plain pixels
    assert encoders.widths == {"clip": whole["clip"].shape[1], "aux": whole["aux"].shape[1]}
    assert set(Encoders(backbone, ("clip",)).encode(IMAGES, ["aux", "clip"])) == {"clip"}


def test_what_tells_features_apart(backbone: CLIPBackbone) -> None:
    def identities(power: float, **more: Any) -> dict[str, dict[str, Any]]:
        return Encoders(backbone, ("clip", "light"), readers={"light": Brightness(power)}, **more).identities()

    one = identities(1.0)
    assert one == identities(1.0)
    assert one["clip"] == identities(2.0)["clip"] and one["light"] != identities(2.0)["light"]
    assert one["clip"]["sha256"] == backbone.sha256 and one["light"]["power"] == 1.0
    assert one["clip"] != identities(1.0, statistics=IDENTITY)["clip"]
    assert one["light"] != identities(1.0, statistics=IDENTITY)["light"]
    aux = Encoders(backbone, ("clip", "aux"), aux_encoder=load_aux_encoder("tiny")).identities()
    assert aux["clip"] == one["clip"] and aux["aux"]["sha256"] != aux["clip"]["sha256"]


def test_features_that_nothing_computes(backbone: CLIPBackbone) -> None:
    with pytest.raises(ValueError, match="nothing computes feature 'depth'; there are clip, maps and aux"):
        Encoders(backbone, ("clip", "depth"))
    with pytest.raises(ValueError, match="features 'aux' are read, so an aux encoder is needed"):
        Encoders(backbone, ("clip", "aux"))
