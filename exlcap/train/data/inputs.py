"""Pixels as the network's input: low-light channels scaled to a fixed mean, then normalised."""

from __future__ import annotations

import torch
from torch import Tensor

from exlcap.core.rig import Light
from exlcap.train.config import InputConfig

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation that ImageNet backbone weights expect."""
OFFICIAL_WELL = ((0.3457, 0.3460, 0.3463), (0.1477, 0.1482, 0.1483))
"""Mean and standard deviation by which the official code normalises well-lit images; low-light ones it leaves."""


def network_input(
    images: Tensor, light: Light, config: InputConfig, gains: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """Images in one light as the network expects them, on any device; float (N, 3, H, W), channels last in memory.

    images: (N, 3, H, W), uint8, or float of 0..1. gains: (N, 3), factors of each image's channels, drawn as an
    augmentation. out: where to write the result, float32 (N, 3, H, W), channels last; by default it is new. Each
    channel of an image gets one factor and one offset, so each pixel is touched once.
    """
    peak = 255 if images.dtype == torch.uint8 else 1
    images = images.float() if peak == 255 else images
    factor = images.new_full((images.shape[0], 3), 1 / peak)
    if light == "low":
        factor = brightening(images, config.low_mean, peak)
    if gains is not None:
        factor = factor * gains
    if config.normalisation == "official" and light == "low":
        return _scaled(images, factor, images.new_zeros(3), out)
    mean, deviation = (images.new_tensor(v) for v in (IMAGENET if config.normalisation == "equal" else OFFICIAL_WELL))
    return _scaled(images, factor / deviation, -mean / deviation, out)


def brightening(images: Tensor, mean: float, peak: float) -> Tensor:
    """The factor, (N, 3), that scales each channel of each image to a mean (Lee et al. 2023, section 4.1).

    peak: value of full brightness in `images`. A black channel stays black.
    """
    now = images.mean((2, 3))
    return torch.where(now > 0, mean / now.clamp_min(1e-6 * peak), 1 / peak)


def brightened(images: Tensor, mean: float) -> Tensor:
    """Each channel of each image, float of 0..1, scaled to a mean; a black channel stays black."""
    return images * brightening(images, mean, 1)[:, :, None, None]


def _scaled(images: Tensor, factor: Tensor, offset: Tensor, out: Tensor | None) -> Tensor:
    """Images times factor, (N, 3), plus offset, (3,).

    Row by row of channels-last pixels: on the CPU several times faster than channel by channel.
    """
    n, channels, height, width = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(n, height, width * channels)
    if out is None:
        out = torch.empty_like(images, memory_format=torch.channels_last)
    target = out.permute(0, 2, 3, 1).view(n, height, width * channels)
    torch.addcmul(offset.repeat(width), rows, factor.repeat(1, width)[:, None], out=target)
    return out
