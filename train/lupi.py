"""Learning using privileged information (Lee et al. 2023, eq. 3): the low-light pass imitates the Gram matrices of the
well-lit pass of the same people. Gradients reach the low-light side only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Normalisation = Literal["paper", "relative"]


def lupi_loss(low: Sequence[Tensor], well: Sequence[Tensor], normalisation: Normalisation) -> Tensor:
    """Sum over layers of the distance of Gram matrices, mean over the pairs of the batch; a scalar.

    low, well: features of the same people in both lights, one (N, C, H, W) per layer.
    normalisation: "paper" divides a layer by 4 C^2 (H W)^2, as eq. 3; "relative" by the batch's mean ||G_well||_F^2,
    which makes the loss independent of the scale of the features. (The mean, since a single person's may be near 0.)
    """
    return torch.stack([_layer_loss(a, b.detach(), normalisation) for a, b in zip(low, well, strict=True)]).sum()


def _layer_loss(low: Tensor, well: Tensor, normalisation: Normalisation) -> Tensor:
    if low.shape != well.shape or low.dim() != 4:
        raise ValueError(
            f"low and well features: expected one shape (N, C, H, W), got {tuple(low.shape)} and {tuple(well.shape)}"
        )
    f, e = low.flatten(2), well.flatten(2)
    distance, scale = _gram_distance(f, e)
    if normalisation == "paper":
        channels, positions = f.shape[1:]
        return (distance / (4 * channels**2 * positions**2)).mean()
    return distance.mean() / scale.mean().clamp_min(torch.finfo(scale.dtype).tiny)


def _gram_distance(f: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
    """||F F^T - E E^T||_F^2 and ||E E^T||_F^2 per sample, each (N,). f, e: (N, C, positions).

    Where there are fewer positions than channels, by way of the smaller matrices:
    ||F F^T - E E^T||^2 = ||F^T F||^2 + ||E^T E||^2 - 2 ||F^T E||^2.
    """
    if f.shape[1] <= f.shape[2]:
        gram_e = e @ e.mT
        return _square(f @ f.mT - gram_e), _square(gram_e)
    scale = _square(e.mT @ e)
    return _square(f.mT @ f) + scale - 2 * _square(f.mT @ e), scale


def _square(matrix: Tensor) -> Tensor:
    return matrix.square().sum((1, 2))
