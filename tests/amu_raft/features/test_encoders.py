from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from amu_raft.backbones.aux_encoder import AuxEncoder, load_aux_encoder
from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STATISTICS, CLIP_STD, IDENTITY, ChannelStatistics, renormalize
from amu_raft.features.encoders import Encoders

PIXELS = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
HALF = ChannelStatistics((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return load_clip("tiny")


@pytest.fixture(scope="module")
def aux() -> AuxEncoder:
    return load_aux_encoder("tiny")


class Brightness:
    """The mean of each picture; remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[Tensor] = []

    def identity(self) -> dict[str, Any]:
        return {"name": "brightness", "sha256": None}

    def __call__(self, pixels: Tensor) -> Tensor:
        self.given.append(pixels)
        return pixels.mean(dim=(1, 2, 3))[:, None]


def test_features_are_the_encoders_own(backbone: CLIPBackbone, aux: AuxEncoder) -> None:
    """Whatever the normalisation that images come with, each encoder sees its own."""
    for_clip = renormalize(PIXELS, IDENTITY, CLIP_STATISTICS)
    expected = {
        "clip": backbone.encode_image(for_clip),
        "maps": backbone.encode_maps(for_clip),
        "aux": aux(renormalize(PIXELS, IDENTITY, ChannelStatistics(aux.mean, aux.std))),
    }
    for statistics in (CLIP_STATISTICS, HALF, IDENTITY):
        encoders = Encoders(backbone, ("clip", "maps", "aux"), aux_encoder=aux, statistics=statistics)
        found = encoders.encode(renormalize(PIXELS, IDENTITY, statistics))
        assert found.keys() == expected.keys()
        for name, tensor in expected.items():
            assert not found[name].requires_grad and found[name].dtype == torch.float32
            torch.testing.assert_close(found[name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("names", [("clip",), ("maps",), ("aux",), ("clip", "aux"), ("brightness",), ()])
def test_only_what_is_wanted_is_computed(names: Sequence[str], backbone: CLIPBackbone, aux: AuxEncoder) -> None:
    reads = ("clip", "maps", "aux", "brightness")
    reader = Brightness()
    encoders = Encoders(backbone, reads, aux_encoder=aux, readers={"brightness": reader})
    images = renormalize(PIXELS, IDENTITY, CLIP_STATISTICS)
    whole = encoders.encode(images)
    reader.given.clear()
    found = encoders.encode(images, names)
    assert set(found) == set(names) and len(reader.given) == ("brightness" in names)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, whole[name])
    assert set(Encoders(backbone, ("clip",)).encode(images, reads)) == {"clip"}  # what is not read is not computed


def test_a_reader_sees_pixels_as_they_are(backbone: CLIPBackbone) -> None:
    reader = Brightness()
    encoders = Encoders(backbone, ("brightness",), readers={"brightness": reader}, statistics=HALF)
    found = encoders.encode(renormalize(PIXELS, IDENTITY, HALF))
    assert found.keys() == {"brightness"}
    torch.testing.assert_close(reader.given[0], PIXELS)
    torch.testing.assert_close(found["brightness"][:, 0], PIXELS.mean(dim=(1, 2, 3)))


def test_widths(backbone: CLIPBackbone, aux: AuxEncoder) -> None:
    assert Encoders(backbone, ("clip",)).widths == {"clip": backbone.feature_dim}
    encoders = Encoders(backbone, ("clip", "aux"), aux_encoder=aux)
    found = encoders.encode(PIXELS)
    assert encoders.widths == {name: found[name].shape[1] for name in ("clip", "aux")}


def test_identities_tell_encoders_apart(backbone: CLIPBackbone, aux: AuxEncoder) -> None:
    readers = {"brightness": Brightness()}
    found = Encoders(backbone, ("clip", "maps", "aux", "brightness"), aux_encoder=aux, readers=readers).identities()
    pixels = [pytest.approx(CLIP_MEAN), pytest.approx(CLIP_STD)]
    common = {"pixels": pixels, "layers": backbone.layers, "code": None}
    clip = {"name": "tiny", "sha256": backbone.sha256, "precision": "fp32", **common}
    assert found["clip"] == found["maps"] == clip  # their names tell them apart
    assert found["aux"] == {**clip, "sha256": aux.sha256} and aux.sha256 != backbone.sha256
    assert found["brightness"] == {"name": "brightness", "sha256": None, **common}


@pytest.mark.parametrize(
    "other", [{"precision": "amp"}, {"layers": "plain"}, {"statistics": HALF}], ids=["precision", "layers", "pixels"]
)
def test_identities_change_with_what_changes_features(other: dict[str, Any], backbone: CLIPBackbone) -> None:
    loading = {name: value for name, value in other.items() if name != "statistics"}
    statistics = other.get("statistics", CLIP_STATISTICS)
    changed = Encoders(load_clip("tiny", **loading), ("clip",), statistics=statistics).identities()
    assert changed["clip"] != Encoders(backbone, ("clip",)).identities()["clip"]


def test_what_nothing_computes(backbone: CLIPBackbone, aux: AuxEncoder) -> None:
    with pytest.raises(ValueError, match="features 'aux' are read, so an aux encoder is needed"):
        Encoders(backbone, ("clip", "aux"))
    with pytest.raises(ValueError, match="nothing computes feature 'smell'; there are clip, maps and aux"):
        Encoders(backbone, ("clip", "smell"), aux_encoder=aux, readers={"brightness": Brightness()})
