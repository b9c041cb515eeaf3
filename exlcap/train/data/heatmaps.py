"""Joints as heat maps and back. A heat map pixel covers STRIDE input pixels; both grids share their outer edges, so
centre x of the input lies at (x + 0.5) / STRIDE - 0.5 of the map, and mirroring one mirrors the other.
"""

from __future__ import annotations

import cv2
import torch
from torch import Tensor

from exlcap.train.networks.pose_net import STRIDE

OFFICIAL_KERNELS = (15, 11, 9, 7, 7)
"""Sides of the blur of the official code's targets: GlobalNet deep to shallow, RefineNet."""


def to_map(points: Tensor) -> Tensor:
    """Input pixel coordinates to heat map coordinates, any shape."""
    return (points + 0.5) / STRIDE - 0.5


def to_input(points: Tensor) -> Tensor:
    """Heat map coordinates to input pixel coordinates; inverse of `to_map`."""
    return (points + 0.5) * STRIDE - 0.5


def targets(joints: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Gaussians of peak 1 at the joints' exact (sub-pixel) places.

    joints: float (N, K, 2), x and y in heat map pixels. size: (height, width). sigma: in heat map pixels.
    Returns (N, K, height, width).
    """
    if joints.dim() != 3 or joints.shape[2] != 2:
        raise ValueError(f"joints: expected shape (N, K, 2), got {tuple(joints.shape)}")
    grid_y = torch.arange(size[0], dtype=joints.dtype, device=joints.device)
    grid_x = torch.arange(size[1], dtype=joints.dtype, device=joints.device)
    along_x = torch.exp(-((grid_x - joints[..., :1]) ** 2) / (2 * sigma**2))
    along_y = torch.exp(-((grid_y - joints[..., 1:]) ** 2) / (2 * sigma**2))
    return along_y[..., :, None] * along_x[..., None, :]


def official_targets(joints: Tensor, size: tuple[int, int], kernel: int) -> Tensor:
    """Targets as the official code draws them: a pixel at floor(input place / 4), blurred as by OpenCV's GaussianBlur
    of `kernel` x `kernel` without a given sigma, scaled to peak 1.

    The blur reflects the border without repeating it, which doubles the light of joints near it and moves the peak of
    some onto it. Arguments and result as of `targets`; all of the joints are moved onto the map.
    """
    weights = joints.new_tensor(cv2.getGaussianKernel(kernel, 0).ravel()[kernel // 2 :])
    pixels = torch.floor(to_input(joints) / STRIDE)
    lines = [_blurred_pixel(pixels[..., axis], size[1 - axis], weights) for axis in (0, 1)]
    maps = lines[1][..., :, None] * lines[0][..., None, :]
    return maps / maps.amax((2, 3), keepdim=True)


def _blurred_pixel(pixel: Tensor, length: int, weights: Tensor) -> Tensor:
    """One pixel (N, K) of a line, and its two reflections, each spread by `weights` (middle first): (N, K, length)."""
    pixel = pixel.clamp(0, length - 1)[..., None]
    line = torch.arange(length, dtype=pixel.dtype, device=pixel.device)
    last = length - 1
    spread = torch.zeros_like(line).expand(*pixel.shape[:2], length)
    for centre, there in ((pixel, pixel >= 0), (-pixel, pixel > 0), (2 * last - pixel, pixel < last)):
        distance = (line - centre).abs()
        value = weights[distance.clamp(max=len(weights) - 1).long()]
        spread = spread + torch.where((distance < len(weights)) & there, value, 0.0)
    return spread


def inside(joints: Tensor, size: tuple[int, int]) -> Tensor:
    """Which joints lie on the map: bool (N, K). joints: (N, K, 2) in heat map pixels; size: (height, width)."""
    x, y = joints.unbind(-1)
    return (x > -0.5) & (y > -0.5) & (x < size[1] - 0.5) & (y < size[0] - 0.5)


def decode(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The peak of each map, to a fraction of a pixel, and its height.

    maps: (N, K, H, W), not negative. A Gaussian is fitted to the highest pixel and its neighbours in x and in y (a
    parabola through their logarithms; Zhang et al. 2020), which is exact for a Gaussian map.
    Returns places (N, K, 2), x and y in heat map pixels, and heights (N, K).
    """
    n, k, height, width = maps.shape
    peak, flat = maps.flatten(2).max(2)
    row, column = flat // width, flat % width
    logs = maps.clamp_min(1e-10).log()
    lines_x = logs.gather(2, row[..., None, None].expand(n, k, 1, width)).squeeze(2)
    lines_y = logs.gather(3, column[..., None, None].expand(n, k, height, 1)).squeeze(3)
    return torch.stack([_vertex(lines_x, column), _vertex(lines_y, row)], -1), peak


def _vertex(line: Tensor, top: Tensor) -> Tensor:
    """Vertex of the parabola through the three samples around index `top`, at most a pixel from it.

    line: (N, K, L); top: (N, K). At an end of the line the three outermost samples are taken.
    """
    middle = top.clamp(1, line.shape[2] - 2)
    before, at, after = (line.gather(2, (middle + step)[..., None]).squeeze(2) for step in (-1, 0, 1))
    curvature = before - 2 * at + after
    offset = torch.where(curvature < -1e-6, 0.5 * (before - after) / curvature, torch.zeros_like(at))
    return torch.minimum(torch.maximum(middle + offset, top - 1.0), top + 1.0)
