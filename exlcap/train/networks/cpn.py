"""Cascaded pyramid network heads (Chen et al. 2018): GlobalNet finds joints, RefineNet corrects the hard ones.

Layer shapes are those of the CPN that ExLPose builds on: 27,372,236 parameters with ResNet-50 and 14 joints. Two things
are done in another order, which changes nothing but rounding, since up-sampling and a 1x1 convolution commute: the
convolution comes first, on fewer pixels; and the four parts of RefineNet's input are convolved separately and summed
instead of being concatenated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch.nn.functional as F
from torch import Tensor, nn

from exlcap.core.joints import N_JOINTS
from exlcap.train.networks.lsbn import Norm


def _upsample(size: tuple[int, int]) -> nn.Module:
    return nn.Upsample(size=size, mode="bilinear", align_corners=True)


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)


def _conv_bn(inputs: int, outputs: int, norm: Norm) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs)]


def _to_heatmaps(channels: int, size: tuple[int, int], last_bn: bool, norm: Norm) -> list[nn.Module]:
    """3x3 convolution to one map per joint, at the output size."""
    layers: list[nn.Module] = [nn.Conv2d(channels, N_JOINTS, 3, 1, 1, bias=not last_bn), _upsample(size)]
    return [*layers, norm(N_JOINTS)] if last_bn else layers


class GlobalNet(nn.Module):
    """A feature pyramid with one prediction per level, deep to shallow.

    inputs: channels of R1..R4. size: (height, width) of the heat maps, that of R1. norm: makes the BatchNorms.
    """

    def __init__(self, inputs: Sequence[int], channels: int, size: tuple[int, int], last_bn: bool, norm: Norm) -> None:
        super().__init__()
        deep_first = list(reversed(inputs))
        sizes = [(size[0] >> level, size[1] >> level) for level in (3, 2, 1, 0)]
        self.laterals = nn.ModuleList(nn.Sequential(*_conv_bn(c, channels, norm), _relu()) for c in deep_first)
        self.upsamples = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), _upsample(finer), norm(channels))
            for finer in sizes[1:]
        )
        self.predicts = nn.ModuleList(
            nn.Sequential(*_conv_bn(channels, channels, norm), _relu(), *_to_heatmaps(channels, size, last_bn, norm))
            for _ in sizes
        )

    def forward(self, stages: Sequence[Tensor], predict: bool) -> tuple[list[Tensor], list[Tensor]]:
        """R1..R4 -> (pyramid, heat maps), each four tensors, deep to shallow; heat maps (N, 14, height, width).

        predict: whether heat maps are wanted; without, there are none.
        """
        pyramid: list[Tensor] = []
        for level, (lateral, stage) in enumerate(zip(self.laterals, reversed(stages), strict=True)):
            feature = lateral(stage)
            pyramid.append(feature if level == 0 else self.upsamples[level - 1](pyramid[-1]).add_(feature))
        return pyramid, [head(f) for head, f in zip(self.predicts, pyramid, strict=True)] if predict else []


class PyramidConv(nn.Conv2d):
    """1x1 convolution of `parts` maps of `channels` channels, brought to one size and concatenated; see above."""

    def __init__(self, parts: int, channels: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__(parts * channels, outputs, 1, bias=False)
        self.parts = parts
        self.size = size

    def forward(self, features: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        """Maps (N, channels, h, w) of any sizes -> (N, outputs, height, width)."""
        weights = self.weight.chunk(self.parts, 1)
        maps = [self._resized(F.conv2d(f, w)) for f, w in zip(features, weights, strict=True)]
        total = reduce(Tensor.add_, maps)
        return total if self.bias is None else total + self.bias[:, None, None]

    def _resized(self, x: Tensor) -> Tensor:
        return x if x.shape[2:] == self.size else F.interpolate(x, self.size, mode="bilinear", align_corners=True)


class RefineBlock(nn.Module):
    """CPN's bottleneck to 2 * `planes` channels, its shortcut always projected.

    entry: makes the two 1x1 convolutions that what comes in goes through, given the number of channels they make.
    """

    def __init__(self, entry: Callable[[int], nn.Module], planes: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            entry(planes),
            norm(planes),
            _relu(),
            nn.Conv2d(planes, planes, 3, 1, 1, bias=False),
            norm(planes),
            _relu(),
            *_conv_bn(planes, 2 * planes, norm),
        )
        self.downsample = nn.Sequential(entry(2 * planes), norm(2 * planes))

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """What `entry` takes -> (N, 2 planes, H, W)."""
        return F.relu(self.body(x).add_(self.downsample(x)), inplace=True)


class RefineNet(nn.Module):
    """Brings the pyramid to one size after 3, 2, 1, 0 bottlenecks, deep to shallow, and predicts once more."""

    def __init__(self, channels: int, size: tuple[int, int], last_bn: bool, norm: Norm) -> None:
        super().__init__()
        planes = channels // 2

        def plain(outputs: int) -> nn.Module:
            return nn.Conv2d(channels, outputs, 1, bias=False)

        def joining(outputs: int) -> nn.Module:
            return PyramidConv(4, channels, outputs, size)

        self.cascade = nn.ModuleList(
            nn.Sequential(*(RefineBlock(plain, planes, norm) for _ in range(blocks))) for blocks in (3, 2, 1, 0)
        )
        self.final = nn.Sequential(RefineBlock(joining, planes, norm), *_to_heatmaps(2 * planes, size, last_bn, norm))

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Pyramid, deep to shallow -> heat maps (N, 14, height, width)."""
        refined = [blocks(feature) for blocks, feature in zip(self.cascade, pyramid, strict=True)]
        return self.final(refined)  # type: ignore[no-any-return]
