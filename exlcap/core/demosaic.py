"""Demosaicing of bright frames: the linear filters of Malvar, He and Cutler, in float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
GREEN_AT_RED_OR_BLUE = ((0, 0, -2, 0, 0), (0, 0, 4, 0, 0), (-2, 4, 8, 4, -2), (0, 0, 4, 0, 0), (0, 0, -2, 0, 0))
BESIDE_GREEN = ((0, 0, 1, 0, 0), (0, -2, 0, -2, 0), (-2, 8, 10, 8, -2), (0, -2, 0, -2, 0), (0, 0, 1, 0, 0))
"""Red or blue at a green pixel that has it left and right; transposed: above and below."""
RED_AT_BLUE = ((0, 0, -3, 0, 0), (0, 4, 0, 4, 0), (-3, 0, 12, 0, -3), (0, 4, 0, 4, 0), (0, 0, -3, 0, 0))
"""And blue at red."""
KERNELS = tuple(
    np.array(kernel, np.float32) / 16
    for kernel in (GREEN_AT_RED_OR_BLUE, BESIDE_GREEN, np.transpose(BESIDE_GREEN), RED_AT_BLUE)
)
BAND_ROWS = 32
"""So many rows are done at a time, an even number: what fits into a core's cache is done in two thirds of the time."""


def malvar(mosaic: Plane) -> Plane:
    """Three colours at every pixel of an RGGB mosaic: float32 (H, W) -> (H, W, 3) RGB, on the same scale.

    Bilinear interpolation, corrected by how much the pixel's own colour differs from its neighbours of that colour
    (Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color images", ICASSP
    2004). That takes edges for equal in all colours, so the mosaic should be white balanced. The filters are symmetric:
    every pixel's centre stays where it is. Nothing is clipped. Mirrored at the borders, which keeps the pattern.
    """
    import cv2

    if mosaic.dtype != np.float32 or mosaic.ndim != 2:
        raise ValueError(f"expected a mosaic float32 (H, W), got {mosaic.dtype} {mosaic.shape}")
    rgb = np.empty((*mosaic.shape, 3), np.float32)
    wider = cv2.copyMakeBorder(mosaic, 2, 2, 0, 0, cv2.BORDER_REFLECT_101)
    for top in range(0, mosaic.shape[0], BAND_ROWS):
        cv2.merge(_band(wider[top : top + BAND_ROWS + 4]), rgb[top : top + BAND_ROWS])
    return rgb


def _band(rows: Plane) -> list[Plane]:
    """Red, green and blue of a band of the mosaic that has two more rows on either side: three of (rows, W)."""
    import cv2

    own = rows[2:-2]
    green_there, across, upright, diagonal = (
        cv2.filter2D(rows, -1, kernel, borderType=cv2.BORDER_REFLECT_101)[2:-2] for kernel in KERNELS
    )
    red, green, blue = across.copy(), own.copy(), upright.copy()
    red[0::2, 0::2], red[1::2, 0::2], red[1::2, 1::2] = own[0::2, 0::2], upright[1::2, 0::2], diagonal[1::2, 1::2]
    green[0::2, 0::2], green[1::2, 1::2] = green_there[0::2, 0::2], green_there[1::2, 1::2]
    blue[0::2, 0::2], blue[1::2, 0::2], blue[1::2, 1::2] = diagonal[0::2, 0::2], across[1::2, 0::2], own[1::2, 1::2]
    return [red, green, blue]
