"""Placing pictures and people in a network's input.

Every matrix is 3 x 3 and takes pixel centres of the picture to those of the input.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exlcap.annotate.networks.card import Input
from exlcap.core.alignment import Matrix
from exlcap.core.develop import Rgb8
from exlcap.core.labels import Box


def whole_matrix(size: tuple[int, int], target: Input) -> Matrix:
    """Matrix that places a whole picture of (width, height) in the input."""
    scale = np.array([target.width, target.height]) / size
    if target.place != "stretch":
        scale[:] = scale.min()
    shift = (scale - 1) / 2  # both share their outer edge, which is half a pixel from the first centre
    if target.place == "middle":
        shift += ([target.width, target.height] - scale * size) / 2
    return _matrix(scale, shift)


def crop_matrix(box: Box, target: Input) -> Matrix:
    """Matrix that places a person's box in the middle of the input, with `box_scale` around it and its shape kept."""
    x, y, width, height = box
    scale = min(target.width / (width * target.box_scale[0]), target.height / (height * target.box_scale[1]))
    middle = np.array([x + width / 2 - 0.5, y + height / 2 - 0.5])  # a box counts edges
    return _matrix(np.array([scale, scale]), np.array([target.width - 1, target.height - 1]) / 2 - scale * middle)


def _matrix(scale: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]) -> Matrix:
    return np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]], [0, 0, 1.0]])


def placed(picture: Rgb8, matrix: Matrix, target: Input) -> Rgb8:
    """The input, uint8 (height, width, 3), that a picture, uint8 (H, W, 3), gives through a matrix.

    Pictures shrunk to half or less are averaged first, so that noise and fine texture do not alias.
    """
    import cv2

    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"picture: expected uint8 (H, W, 3), got {picture.dtype} {picture.shape}")
    back = np.linalg.inv(matrix)
    corners = back[:2, :2] @ [[-1, target.width], [-1, target.height]] + back[:2, 2:]
    low = np.maximum(np.floor(corners[:, 0]).astype(int), 0)
    high = np.minimum(np.ceil(corners[:, 1]).astype(int) + 1, picture.shape[1::-1])
    if (high <= low).any():
        low, high = np.zeros(2, int), np.ones(2, int)
    fx, fy = (max(1, int(min(1 / s, length))) for s, length in zip(np.diag(matrix)[:2], high - low, strict=True))
    columns, rows = (high - low) // (fx, fy)
    region = picture[low[1] : low[1] + rows * fy, low[0] : low[0] + columns * fx]
    small = cv2.resize(region, (int(columns), int(rows)), interpolation=cv2.INTER_AREA) if fx * fy > 1 else region
    at = _matrix(np.array([fx, fy], float), low + (np.array([fx, fy]) - 1) / 2)
    pad = small.mean((0, 1)).tolist() if target.pad == "mean" else [target.pad] * 3
    made: Rgb8 = cv2.warpAffine(
        np.ascontiguousarray(small),
        (matrix @ at)[:2],
        (target.width, target.height),
        flags=cv2.INTER_LINEAR,
        borderValue=pad,
    )
    return made
