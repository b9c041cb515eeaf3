"""Learning using privileged information (Lee et al. 2023, eq. 3): the low-light pass imitates the features of the
well-lit pass. Gradients reach the low-light side only. Computed in float32 (or float64), outside autocast: Gram
matrices are sums of many products, which half precision would round away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from exlcap.train.config import Config, LupiConfig
from exlcap.train.methods import Match

if TYPE_CHECKING:
    from exlcap.train.networks.resnet import Features


def batch_lupi(features: Features, n_low: int, config: Config) -> Tensor:
    """The method's LUPI loss of a batch [low..., well...] of pairs in the same order; a scalar, not yet weighted.

    It compares the method's `layers` of `features`. Without pairing (Table 3) each low-light image is compared with the
    well-lit image of the next pair of the batch, which the random order of the epoch makes a different person.
    """
    method = config.method
    assert method.match is not None, f"{method.name} has no LUPI loss"
    layers: list[Tensor] = [getattr(features, name) for name in method.layers]
    wells = [f[n_low:].detach() for f in layers]
    if not method.paired:
        wells = [f.roll(1, 0) for f in wells]
    return lupi_loss([_Head.apply(f, n_low) for f in layers], wells, config.lupi, method.match)  # type: ignore[no-untyped-call]


class _Head(torch.autograd.Function):
    """The first images of a batch. Like slicing, but the gradient has the memory layout of the batch: another layout
    makes every sum and ReLU before it three times slower.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int) -> Tensor:
        """(N, C, H, W) -> (count, C, H, W)."""
        ctx.save_for_backward(x)
        return x[:count]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Zero for the images behind."""
        (x,) = ctx.saved_tensors
        whole = torch.empty_like(x)
        whole[: len(grad)] = grad
        whole[len(grad) :] = 0
        return whole, None


def lupi_loss(low: Sequence[Tensor], well: Sequence[Tensor], config: LupiConfig, match: Match) -> Tensor:
    """Sum over layers of the distance of features, mean or sum over the pairs of the batch; a scalar.

    low, well: features in both lights, one (N, C, H, W) per layer.
    match: "gram" compares Gram matrices G = F F^T, "features" the features F themselves (Table 4's feature matching).
    config.normalisation: "paper" divides a layer by 4 C^2 (H W)^2, as eq. 3 (by C H W with "features"); "relative" by
    the batch's mean ||G_well||_F^2, which makes the loss independent of the scale of the features. (The mean, since
    that of a single person may be near 0.)
    """
    device = low[0].device.type
    with torch.autocast(device, enabled=False):
        layers = [_layer_loss(full(a), full(b.detach()), config, match) for a, b in zip(low, well, strict=True)]
        return torch.stack(layers).sum()


def full(values: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _layer_loss(low: Tensor, well: Tensor, config: LupiConfig, match: Match) -> Tensor:
    if low.shape != well.shape or low.dim() != 4:
        raise ValueError(
            f"low and well features: expected one shape (N, C, H, W), got {tuple(low.shape)} and {tuple(well.shape)}"
        )
    f, e = _by_position(low), _by_position(well)
    positions, channels = f.shape[1:]
    if match == "features":
        distance, scale = _square(f - e), _square(e)
        paper = channels * positions
    else:
        distance, scale = _gram_distance(f, e)
        paper = 4 * channels**2 * positions**2
    total = distance.mean() if config.batch == "mean" else distance.sum()
    if config.normalisation == "paper":
        return total / paper
    return total / scale.mean().clamp_min(torch.finfo(scale.dtype).tiny)


def _by_position(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, positions, C), without a copy, forward or backward, if channels are last in memory."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _gram_distance(f: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """||G_f - G_e||_F^2 and ||G_e||_F^2 per sample, each (N,), of Gram matrices G_f = F^T F. f, e: (N, positions, C).

    Two C x C matrices take 2 C^2 positions products; where three positions x positions matrices take fewer, by way of
    ||F^T F - E^T E||^2 = ||F F^T||^2 + ||E E^T||^2 - 2 ||F E^T||^2.
    """
    positions, channels = f.shape[1:]
    fixed = f.detach()
    if 2 * channels <= 3 * positions:
        gram_e = e.mT @ e
        return _square(_gram(fixed.mT @ f) - gram_e), _square(gram_e)
    scale = _square(e @ e.mT)
    return _square(_gram(f @ fixed.mT)) + scale - 2 * _square(f @ e.mT), scale


def _gram(half: Tensor) -> Tensor:
    """A Gram matrix one factor of which is fixed, with the gradient of both: for a square's, which is symmetric, the
    factors' gradients are equal, so one product less.
    """
    return 2 * half - half.detach()


def _square(matrix: Tensor) -> Tensor:
    return matrix.square().sum((1, 2))
