"""ResNet backbones (He et al. 2016) without the classifier, with a choice of normalisation.

Parameter names are torchvision's (``conv1``, ``bn1``, ``layer1.0.conv1``, ``layer1.0.downsample.1`` ...), so that the
usual ImageNet checkpoints fit.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from exlcap.train.networks.lsbn import Norm

LAYERS: dict[int, tuple[int, int, int, int]] = {
    18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)
}  # fmt: skip
"""Depth -> number of blocks in each of the four stages."""


class Features(NamedTuple):
    """Feature maps of a batch: conv1 with its normalisation and ReLU (stride 2), and the four stages (4 to 32)."""

    conv1: Tensor
    r1: Tensor
    r2: Tensor
    r3: Tensor
    r4: Tensor


def _shortcut(inputs: int, outputs: int, stride: int, norm: Norm) -> nn.Module | None:
    """Projection of the shortcut where shape changes, else None."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (ResNet-18, -34)."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, planes, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, planes, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out.add_(shortcut))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a shortcut (ResNet-50, -101)."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = norm(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = norm(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, 4 * planes, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 4 planes, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out.add_(shortcut))  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """The convolutional part of a ResNet. width: channels of the first stage, 64 in the original."""

    def __init__(self, depth: int, width: int, norm: Norm) -> None:
        super().__init__()
        block = Bottleneck if depth >= 50 else BasicBlock
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages: list[nn.Sequential] = []
        inputs = width
        for number, blocks in enumerate(LAYERS[depth]):
            planes = width << number
            layers: list[nn.Module] = []
            for i in range(blocks):
                layers.append(block(inputs, planes, 2 if number and i == 0 else 1, norm))
                inputs = planes * block.expansion
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = tuple((width << number) * block.expansion for number in range(4))

    def forward(self, x: Tensor) -> Features:
        """(N, 3, H, W) -> features; H and W are multiples of 32."""
        conv1 = self.relu(self.bn1(self.conv1(x)))
        r1 = self.layer1(self.maxpool(conv1))
        r2 = self.layer2(r1)
        r3 = self.layer3(r2)
        return Features(conv1, r1, r2, r3, self.layer4(r3))
