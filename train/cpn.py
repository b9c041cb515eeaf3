"""Cascaded pyramid network heads (Chen et al. 2018): GlobalNet finds joints, RefineNet mends the hard ones.

Layer shapes are those of the CPN that ExLPose builds on: 27,372,236 parameters with ResNet-50 and 14 joints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exlcap.joints import N_JOINTS


def _upsample(size: tuple[int, int]) -> nn.Module:
    return nn.Upsample(size=size, mode="bilinear", align_corners=True)


def _conv_bn(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]


def _to_heatmaps(channels: int, size: tuple[int, int], last_bn: bool) -> list[nn.Module]:
    """3x3 convolution to one map per joint, at the output size."""
    layers: list[nn.Module] = [nn.Conv2d(channels, N_JOINTS, 3, 1, 1, bias=not last_bn), _upsample(size)]
    return [*layers, nn.BatchNorm2d(N_JOINTS)] if last_bn else layers


class GlobalNet(nn.Module):
    """A feature pyramid with one prediction per level, deep to shallow.

    inputs: channels of R1..R4. size: (height, width) of the heat maps, that of R1.
    """

    def __init__(self, inputs: Sequence[int], channels: int, size: tuple[int, int], last_bn: bool) -> None:
        super().__init__()
        deep_first = list(reversed(inputs))
        sizes = [(size[0] >> level, size[1] >> level) for level in (3, 2, 1, 0)]
        self.laterals = nn.ModuleList(nn.Sequential(*_conv_bn(c, channels), nn.ReLU()) for c in deep_first)
        self.upsamples = nn.ModuleList(
            nn.Sequential(_upsample(finer), *_conv_bn(channels, channels)) for finer in sizes[1:]
        )
        self.predicts = nn.ModuleList(
            nn.Sequential(*_conv_bn(channels, channels), nn.ReLU(), *_to_heatmaps(channels, size, last_bn))
            for _ in sizes
        )

    def forward(self, stages: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """R1..R4 -> (pyramid, heat maps), each four tensors, deep to shallow; heat maps (N, 14, height, width)."""
        pyramid: list[Tensor] = []
        for level, (lateral, stage) in enumerate(zip(self.laterals, reversed(stages), strict=True)):
            feature = lateral(stage)
            pyramid.append(feature if level == 0 else feature + self.upsamples[level - 1](pyramid[-1]))
        return pyramid, [predict(feature) for predict, feature in zip(self.predicts, pyramid, strict=True)]


class RefineBlock(nn.Module):
    """CPN's bottleneck: `inputs` -> 2 * `planes` channels, its shortcut always projected."""

    def __init__(self, inputs: int, planes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_bn(inputs, planes),
            nn.ReLU(),
            nn.Conv2d(planes, planes, 3, 1, 1, bias=False),
            nn.BatchNorm2d(planes),
            nn.ReLU(),
            *_conv_bn(planes, 2 * planes),
        )
        self.downsample = nn.Sequential(*_conv_bn(inputs, 2 * planes))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, 2 planes, H, W)."""
        return torch.relu(self.body(x) + self.downsample(x))


class RefineNet(nn.Module):
    """Brings the pyramid to one size through 3, 2, 1, 0 bottlenecks, deep to shallow, and predicts once more."""

    def __init__(self, channels: int, size: tuple[int, int], last_bn: bool) -> None:
        super().__init__()
        planes = channels // 2
        self.cascade = nn.ModuleList(
            nn.Sequential(*(RefineBlock(channels, planes) for _ in range(blocks)), _upsample(size))
            for blocks in (3, 2, 1, 0)
        )
        self.final = nn.Sequential(RefineBlock(4 * channels, planes), *_to_heatmaps(channels, size, last_bn))

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Pyramid, deep to shallow -> heat maps (N, 14, height, width)."""
        refined = [block(feature) for block, feature in zip(self.cascade, pyramid, strict=True)]
        return self.final(torch.cat(refined, 1))  # type: ignore[no-any-return]
