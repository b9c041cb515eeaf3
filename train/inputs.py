"""Pixels of 0..1 as the network's input: low-light channels brought to a fixed mean, then a normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from exlcap.rig import Role
from exlcap.train.config import InputConfig

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation that the usual backbone weights expect."""
OFFICIAL_WELL = ((0.3457, 0.3460, 0.3463), (0.1477, 0.1482, 0.1483))
"""Those that the official code takes out of well-lit images; out of low-light images it takes none."""


def network_input(images: Tensor, light: Role, how: InputConfig, gains: Tensor | None = None) -> Tensor:
    """Images of one lighting as the network expects them, on any device; (N, 3, H, W), channels last in memory.

    images: float (N, 3, H, W), 0..1. gains: (N, 3), factors of each image's channels, drawn as an augmentation.
    """
    if light == "low":
        images = brightened(images, how.low_mean)
    if gains is not None:
        images = images * gains[:, :, None, None]
    if how.normalisation == "official":
        return (_without(images, OFFICIAL_WELL) if light == "well" else images).contiguous(
            memory_format=torch.channels_last
        )
    return _without(images, IMAGENET).contiguous(memory_format=torch.channels_last)


def brightened(images: Tensor, mean: float) -> Tensor:
    """Each channel of each image scaled to a mean (Lee et al. 2023, section 4.1); a black channel stays black."""
    now = images.mean((2, 3), keepdim=True)
    return torch.where(now > 0, images * mean / now.clamp_min(1e-6), images)


def _without(images: Tensor, statistics: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    mean, deviation = (images.new_tensor(values).view(3, 1, 1) for values in statistics)
    return (images - mean) / deviation
