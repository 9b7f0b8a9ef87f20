import subprocess
import sys
from typing import Any

import pytest
import torch
from torchvision.models import resnet

from amu_raft.backbones.residual_network import BasicBlock, Bottleneck, ResidualNetwork

PAIRS: dict[str, Any] = {
    "resnet18": (resnet.resnet18, BasicBlock, [2, 2, 2, 2], {}),
    "resnet50": (resnet.resnet50, Bottleneck, [3, 4, 6, 3], {}),
    "resnext50_32x4d": (resnet.resnext50_32x4d, Bottleneck, [3, 4, 6, 3], {"groups": 32, "width_per_group": 4}),
    "wide_resnet50_2": (resnet.wide_resnet50_2, Bottleneck, [3, 4, 6, 3], {"width_per_group": 128}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_torchvisions_names_shapes_and_numbers(name: str) -> None:
    theirs_of, block, layers, options = PAIRS[name]
    torch.manual_seed(0)
    theirs = theirs_of(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if "running" in key:
                value.uniform_(0.5, 1.5)
    ours = ResidualNetwork(block, layers, widths=[64, 128, 256, 512], **options).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


def test_gradients_reach_every_weight() -> None:
    network = ResidualNetwork(BasicBlock, [1, 1, 1, 1], widths=[4, 4, 8, 8], stem_width=4, max_pool=False)
    network(torch.randn(3, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_encoders_do_without_torchvision() -> None:
    code = (
        "import sys; from amu_raft.backbones.aux_encoder import load_aux_encoder; "
        "from amu_raft.backbones.clip_backbone import load_clip; "
        "load_aux_encoder('tiny'); load_clip('tiny'); "
        "sys.exit(', '.join(name for name in ('torchvision', 'torch._dynamo', 'clip.clip') if name in"
        "  sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
