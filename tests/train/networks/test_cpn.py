"""CPN's heads in the cheaper order of operations equal those in the paper's, in float64, gradients included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exlcap.train.networks.cpn import GlobalNet, PyramidConv, RefineNet

SIZE, CHANNELS, STAGES = (16, 12), 8, (4, 6, 8, 10)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def maps(channels: tuple[int, ...], generator: torch.Generator) -> list[Tensor]:
    """Shallow first, each half the size of the one before."""
    return [
        torch.randn(2, c, SIZE[0] >> i, SIZE[1] >> i, dtype=torch.float64, generator=generator)
        for i, c in enumerate(channels)
    ]


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def assert_same_with_gradients(found: Tensor, wanted: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(found, wanted)
    weights = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view(found.shape)
    gradients = [torch.autograd.grad((out * weights).sum(), leaves, retain_graph=True) for out in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_convolving_parts_one_by_one_equals_convolving_their_concatenation(generator: torch.Generator) -> None:
    conv = PyramidConv(4, CHANNELS, 5, SIZE).double()
    parts = [m.requires_grad_() for m in reversed(maps((CHANNELS,) * 4, generator))]
    whole = F.conv2d(torch.cat([resized(part, SIZE) for part in parts], 1), conv.weight)
    assert_same_with_gradients(conv(parts), whole, [*parts, conv.weight])


def test_a_bias_folded_into_it_is_added_once(generator: torch.Generator) -> None:
    conv = PyramidConv(4, CHANNELS, 5, SIZE).double()
    parts = list(reversed(maps((CHANNELS,) * 4, generator)))
    before = conv(parts)
    conv.bias = nn.Parameter(torch.arange(5, dtype=torch.float64))
    torch.testing.assert_close(conv(parts), before + conv.bias[:, None, None])


def test_global_net_equals_up_sampling_before_the_convolution(generator: torch.Generator) -> None:
    net = GlobalNet(STAGES, CHANNELS, SIZE, last_bn=True, norm=nn.BatchNorm2d).double()
    stages = [m.requires_grad_() for m in maps(STAGES, generator)]
    wanted: list[Tensor] = []
    for level, stage in enumerate(reversed(stages)):
        feature = net.laterals[level](stage)
        if wanted:
            conv, _, norm = net.upsamples[level - 1]
            feature = feature + norm(conv(resized(wanted[-1], tuple(feature.shape[2:]))))
        wanted.append(feature)
    pyramid, heatmaps = net(stages, predict=True)
    assert len(heatmaps) == 4 and net(stages, predict=False)[1] == []
    for found, expected in zip(pyramid, wanted, strict=True):
        assert_same_with_gradients(found, expected, stages[-1:])


def test_refine_net_equals_bottlenecks_on_the_concatenation(generator: torch.Generator) -> None:
    net = RefineNet(CHANNELS, SIZE, last_bn=True, norm=nn.BatchNorm2d).double()
    pyramid = [m.requires_grad_() for m in reversed(maps((CHANNELS,) * 4, generator))]
    joined = torch.cat([resized(b(f), SIZE) for b, f in zip(net.cascade, pyramid, strict=True)], 1)
    block, *rest = net.final
    body = F.conv2d(joined, block.body[0].weight)
    for layer in block.body[1:]:
        body = layer(body)
    wanted = torch.relu(body + block.downsample[1](F.conv2d(joined, block.downsample[0].weight)))
    for layer in rest:
        wanted = layer(wanted)
    assert_same_with_gradients(net(pyramid), wanted, pyramid)
