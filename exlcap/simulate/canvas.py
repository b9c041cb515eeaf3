"""The irradiance on the focal plane, on a finer grid than the sensors', and how each view samples it.

Both views are taken from the same canvas, each through its own geometry, so neither is a resampling of the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.core.alignment import Alignment, Matrix, Points, apply_homography, image_corners

Irradiance = npt.NDArray[np.float32]
SUPERSAMPLING = 2
"""Canvas samples per pixel of the bright camera, in each direction."""
PSF_SIGMA_PX = 0.6
"""Blur of lens and pixel aperture: standard deviation of a Gaussian, in pixels."""
MARGIN_PX = 8


@dataclass(frozen=True)
class Canvas:
    """Where the samples lie: column i, row j is at x = left + i / 2, y = top + j / 2 in bright pixel centres."""

    left: int
    top: int
    width: int
    height: int

    @property
    def xs(self) -> npt.NDArray[np.float32]:
        """Horizontal position of each column in bright pixels, (width,)."""
        return (self.left + np.arange(self.width) / SUPERSAMPLING).astype(np.float32)

    @property
    def ys(self) -> npt.NDArray[np.float32]:
        """Vertical position of each row in bright pixels, (height,)."""
        return (self.top + np.arange(self.height) / SUPERSAMPLING).astype(np.float32)

    def from_well(self, points: Points) -> Points:
        """Points (N, 2) in bright pixel centres as columns and rows of the canvas."""
        placed: Points = (np.asarray(points, np.float64) - (self.left, self.top)) * SUPERSAMPLING
        return placed


def canvas_for(alignment: Alignment) -> Canvas:
    """A canvas that covers everything either camera sees."""
    seen = np.vstack([image_corners(alignment.well_size), alignment.map_low_to_well(image_corners(alignment.low_size))])
    left, top = (math.floor(v) - MARGIN_PX for v in seen.min(0))
    right, bottom = (math.ceil(v) + MARGIN_PX for v in seen.max(0))
    return Canvas(left, top, (right - left) * SUPERSAMPLING + 1, (bottom - top) * SUPERSAMPLING + 1)


def focus(irradiance: Irradiance) -> Irradiance:
    """Blur a canvas, float32 (H, W, 3), as the lens and the pixel aperture do."""
    import cv2

    blurred: Irradiance = cv2.GaussianBlur(irradiance, (0, 0), PSF_SIGMA_PX * SUPERSAMPLING)
    return blurred


@dataclass(frozen=True)
class Sampler:
    """Which irradiance each pixel of an RGGB mosaic collects: bilinear interpolation between four samples.

    index: flat index of the upper left sample's channel in the canvas, (H, W). right, down: weights towards the
    samples to the right and below, float32 (H, W).
    """

    index: npt.NDArray[np.intp]
    right: Irradiance
    down: Irradiance
    row_length: int

    def mosaic(self, irradiance: Irradiance) -> Irradiance:
        """The mosaiced image, float32 (H, W), of a canvas (its height, its width, 3)."""
        flat = irradiance.reshape(-1)

        def row(start: int) -> Irradiance:
            near = flat[start:].take(self.index)
            return near + self.right * (flat[start + 3 :].take(self.index) - near)

        upper = row(0)
        mixed: Irradiance = upper + self.down * (row(self.row_length) - upper)
        return mixed


def sampler(canvas: Canvas, to_well: Matrix, size: tuple[int, int]) -> Sampler:
    """Sampler of a camera of (width, height) whose pixel centres `to_well` maps to those of the bright camera."""
    width, height = size
    rows, columns = np.indices((height, width))
    points = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
    place = canvas.from_well(apply_homography(to_well, points)).reshape(height, width, 2)
    whole = np.floor(place).astype(np.intp)
    part = (place - whole).astype(np.float32)
    channel = (rows % 2) + (columns % 2)  # red at even places, blue at odd ones, green between
    return Sampler(
        index=(whole[..., 1] * canvas.width + whole[..., 0]) * 3 + channel,
        right=np.ascontiguousarray(part[..., 0]),
        down=np.ascontiguousarray(part[..., 1]),
        row_length=3 * canvas.width,
    )
