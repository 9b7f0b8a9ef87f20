from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models.resnet import Bottleneck, ResNet

from amu_raft.backbones.aux_encoder import load_aux_encoder
from amu_raft.backbones.clip_backbone import load_clip
from benchmarks import full_size


def test_photographs_lie_in_split_and_class_folders_and_differ(tmp_path: Path) -> None:
    full_size.write_photographs(tmp_path, {"train": 2, "test": 1}, classes=2, size=(20, 15))
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg"))
    assert files == [
        *("test/class 0/0.jpg", "test/class 1/0.jpg"),
        *("train/class 0/0.jpg", "train/class 0/1.jpg", "train/class 1/0.jpg", "train/class 1/1.jpg"),
    ]
    assert Image.open(tmp_path / files[0]).size == (20, 15)
    assert len({(tmp_path / name).read_bytes() for name in files}) == len(files)


def test_the_seed_decides_the_pixels(tmp_path: Path) -> None:
    for seed, name in ((0, "a"), (0, "b"), (1, "c")):
        full_size.write_photographs(tmp_path / name, {"train": 1}, classes=1, size=(8, 8), seed=seed)
    a, b, c = (next((tmp_path / name).rglob("*.jpg")).read_bytes() for name in "abc")
    assert a == b != c


def test_a_spread_out_network_tells_images_apart() -> None:
    torch.manual_seed(0)
    network = ResNet(Bottleneck, [1, 1, 1, 1])
    images = torch.randn(4, 3, 64, 64)
    full_size.spread_out(network, side=64)
    assert not network.training
    with torch.no_grad():
        features = network(images)
    assert features.isfinite().all()
    assert features.std(dim=0).mean() > 0.01 * features.abs().mean()


@pytest.mark.slow
def test_weights_of_the_real_sizes_are_read_as_published_ones(tmp_path: Path) -> None:
    clip = load_clip(str(full_size.write_clip(tmp_path / "clip.pt")))
    aux = load_aux_encoder(str(full_size.write_resnet(tmp_path / "resnet50.pt")))
    assert (clip.feature_dim, clip.input_resolution, clip.grid, aux.feature_dim) == (1024, 224, (7, 7), 2048)
    assert clip.logit_scale == pytest.approx(100, rel=1e-3)
    with torch.no_grad():
        images = torch.randn(3, 3, 224, 224)
        for features in (clip.encode_image(images), aux(images)):
            assert features.isfinite().all()
            assert features.std(dim=0).mean() > 0.01 * features.abs().mean()
