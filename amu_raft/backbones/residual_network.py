"""Residual networks with torchvision's parameter names, without torchvision, which takes two seconds to import."""

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    Args:
        channels_in: Channels of the input, (N, channels_in, H, W).
        planes: Channels of the convolutions and of the output.
        stride: Of the first convolution.

    Source:
        He et al., Deep Residual Learning for Image Recognition (CVPR 2016), figure 5.
    """

    expansion = 1

    def __init__(self, channels_in: int, planes: int, *, stride: int = 1) -> None:
        super().__init__()
        shortcut = _shortcut(channels_in, planes, stride)  # drawn first and named last, as in torchvision
        self.conv1 = _conv(channels_in, planes, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, planes, H / stride, W / stride)."""
        inner = self.relu(self.bn1(self.conv1(images)))
        return _add(self.bn2(self.conv2(inner)), images, self.downsample, self.relu)


class Bottleneck(nn.Module):
    """A 1 x 1, a 3 x 3 and a 1 x 1 convolution beside a shortcut; the middle one carries the stride.

    Args:
        channels_in: Channels of the input.
        planes: A quarter of the channels of the output.
        width: Channels of the 3 x 3 convolution.
        groups: Its groups.
        stride: Its stride.
    """

    expansion = 4

    def __init__(self, channels_in: int, planes: int, *, width: int, groups: int = 1, stride: int = 1) -> None:
        super().__init__()
        channels_out = planes * self.expansion
        shortcut = _shortcut(channels_in, channels_out, stride)
        self.conv1 = _conv(channels_in, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride=stride, groups=groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, channels_out, 1)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, channels_in, H, W) to (N, 4 * planes, H / stride, W / stride)."""
        inner = self.relu(self.bn1(self.conv1(images)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return _add(self.bn3(self.conv3(inner)), images, self.downsample, self.relu)


Block = type[BasicBlock] | type[Bottleneck]


class ResidualNetwork(nn.Module):
    """A stem, four stages of blocks and average pooling; there is no classifier.

    Args:
        block: ``BasicBlock`` or ``Bottleneck``.
        layers: Blocks in each of the four stages.
        widths: Planes of each stage.
        stem_width: Channels after the first convolution, which has stride 2.
        stem_kernel: Its kernel size.
        max_pool: Whether max pooling with stride 2 follows.
        groups: Groups of a Bottleneck's 3 x 3 convolutions.
        width_per_group: Their channels per group where the stage has 64 planes.
    """

    def __init__(
        self,
        block: Block,
        layers: list[int],
        *,
        widths: list[int],
        stem_width: int = 64,
        stem_kernel: int = 7,
        max_pool: bool = True,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        self.conv1 = _conv(3, stem_width, stem_kernel, stride=2)
        self.bn1 = nn.BatchNorm2d(stem_width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1) if max_pool else nn.Identity()
        channels = stem_width
        for stage, (planes, blocks) in enumerate(zip(widths, layers, strict=True), start=1):
            members: list[nn.Module] = []
            for index in range(blocks):
                stride = 2 if stage > 1 and index == 0 else 1
                if issubclass(block, BasicBlock):
                    members.append(block(channels, planes, stride=stride))
                else:
                    width = planes * width_per_group // 64 * groups
                    members.append(block(channels, planes, width=width, groups=groups, stride=stride))
                channels = planes * block.expansion
            setattr(self, f"layer{stage}", nn.Sequential(*members))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to features (N, planes of the last stage * expansion)."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(1, 5):
            maps = getattr(self, f"layer{stage}")(maps)
        return torch.flatten(self.avgpool(maps), 1)


def _conv(channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias: the normalisation after it has one."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the form of its output; None where it has it."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(_conv(channels_in, channels_out, 1, stride=stride), nn.BatchNorm2d(channels_out))


def _add(inner: Tensor, images: Tensor, shortcut: nn.Sequential | None, relu: nn.ReLU) -> Tensor:
    inner += images if shortcut is None else shortcut(images)
    result: Tensor = relu(inner)
    return result
