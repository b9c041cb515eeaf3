"""Learning using privileged information (Lee et al. 2023, eq. 3): the low-light pass imitates the features of the
well-lit pass. Gradients reach the low-light side only. Computed in float32 (or float64), outside autocast: Gram
matrices are sums of many products, which half precision would round away.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from exlcap.train.config import Config, LupiConfig, Match


def batch_lupi(features: Sequence[Tensor], n_low: int, config: Config) -> Tensor:
    """The method's LUPI loss of a batch [low..., well...] of pairs in the same order; a scalar, not yet weighted.

    features: one (N, C, H, W) per layer. Without pairing (Table 3) each low-light image is compared with the well-lit
    image of the next pair of the batch, which the epoch's random order makes somebody else.
    """
    wells = [f[n_low:] if config.paired else f[n_low:].roll(1, 0) for f in features]
    return lupi_loss([f[:n_low] for f in features], wells, config.lupi, config.match)


def lupi_loss(low: Sequence[Tensor], well: Sequence[Tensor], how: LupiConfig, match: Match) -> Tensor:
    """Sum over layers of the distance of features, mean or sum over the pairs of the batch; a scalar.

    low, well: features in both lights, one (N, C, H, W) per layer.
    match: "gram" compares Gram matrices G = F F^T, "features" the features F themselves (Table 4's feature matching).
    how.normalisation: "paper" divides a layer by 4 C^2 (H W)^2, as eq. 3 (by C H W with "features"); "relative" by the
    batch's mean ||G_well||_F^2, which makes the loss independent of the scale of the features. (The mean, since a
    single person's may be near 0.)
    """
    device = low[0].device.type
    with torch.autocast(device, enabled=False):
        layers = [_layer_loss(full(a), full(b.detach()), how, match) for a, b in zip(low, well, strict=True)]
        return torch.stack(layers).sum()


def full(values: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _layer_loss(low: Tensor, well: Tensor, how: LupiConfig, match: Match) -> Tensor:
    if low.shape != well.shape or low.dim() != 4:
        raise ValueError(
            f"low and well features: expected one shape (N, C, H, W), got {tuple(low.shape)} and {tuple(well.shape)}"
        )
    f, e = low.flatten(2), well.flatten(2)
    channels, positions = f.shape[1:]
    if match == "features":
        distance, scale = _square(f - e), _square(e)
        paper = channels * positions
    else:
        distance, scale = _gram_distance(f, e)
        paper = 4 * channels**2 * positions**2
    total = distance.mean() if how.batch == "mean" else distance.sum()
    if how.normalisation == "paper":
        return total / paper
    return total / scale.mean().clamp_min(torch.finfo(scale.dtype).tiny)


def _gram_distance(f: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """||F F^T - E E^T||_F^2 and ||E E^T||_F^2 per sample, each (N,). f, e: (N, C, positions).

    Two C x C matrices take 2 C^2 positions products; where three positions x positions matrices take fewer, by way of
    ||F F^T - E E^T||^2 = ||F^T F||^2 + ||E^T E||^2 - 2 ||F^T E||^2.
    """
    if 2 * f.shape[1] <= 3 * f.shape[2]:
        gram_e = e @ e.mT
        return _square(_gram(f) - gram_e), _square(gram_e)
    scale = _square(e.mT @ e)
    return _square(_gram(f.mT)) + scale - 2 * _square(f.mT @ e), scale


def _gram(f: Tensor) -> Tensor:
    """F F^T with half the work for its gradient: (g + g^T) F is 2 g F where g is symmetric, as it is for a square."""
    product = f @ f.detach().mT
    return 2 * product - product.detach()


def _square(matrix: Tensor) -> Tensor:
    return matrix.square().sum((1, 2))
