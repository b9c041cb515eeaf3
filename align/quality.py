"""Is a registration to be believed? Measured on parts of the picture that its fit did not see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.align.pictures import Grey, local_contrast
from exlcap.align.register import SHOOT_AGAIN, WINDOW_PX, Mask, Registration, refit
from exlcap.alignment import Matrix, Residual, apply_homography, compose, image_corners
from exlcap.errors import Refused

BLOCK_PX = 48
FEWEST_BLOCKS = 20


@dataclass(frozen=True)
class Limits:
    """What a registration must keep to. Angles in degrees, lengths in pixels, shift as a share of the width."""

    ecc_min: float = 0.3
    held_out_median_px: float = 0.3
    held_out_p95_px: float = 1.5
    halves_px: float = 1.0
    rotation_deg: float = 5.0
    scale_deviation: float = 0.1
    shift_share: float = 0.15


@dataclass(frozen=True)
class BlockShifts:
    """Residual shift of each textured block: centres and shifts in pixels of the bright picture, float64 (N, 2)."""

    centres: npt.NDArray[np.float64]
    shifts: npt.NDArray[np.float64]

    @property
    def lengths(self) -> npt.NDArray[np.float64]:
        """Length of each shift in pixels, (N,)."""
        lengths: npt.NDArray[np.float64] = np.linalg.norm(self.shifts, axis=1)
        return lengths


def measure(well: Grey, low: Grey, found: Registration, limits: Limits) -> tuple[Residual, BlockShifts]:
    """Residuals of a registration and the map of block shifts they come from.

    The fit is repeated on every second block (as on a chess board) and judged on the blocks left out, both ways round,
    so no block is judged by a fit that saw it. Raises Refused, naming the test that failed.
    """
    height, width = well.shape
    board = (np.add.outer(np.arange(height) // BLOCK_PX, np.arange(width) // BLOCK_PX) % 2).astype(np.uint8)
    halves = [refit(well, low, found, mask) for mask in (board, 1 - board)]
    fits = [half for half in halves if half is not None]
    if len(fits) < 2:
        raise Refused("the alignment does not hold on half of the picture", SHOOT_AGAIN)
    parts = [
        block_shifts(well, low, fit, found.mirror, 1 - mask) for fit, mask in zip(fits, (board, 1 - board), strict=True)
    ]
    blocks = BlockShifts(
        *(np.concatenate(values) for values in zip(*((p.centres, p.shifts) for p in parts), strict=True))
    )
    if len(blocks.lengths) < FEWEST_BLOCKS:
        raise Refused(f"only {len(blocks.lengths)} blocks of the picture have enough texture to check the alignment on "
                      f"({FEWEST_BLOCKS} needed)", SHOOT_AGAIN)  # fmt: skip
    corners = image_corners((width, height))
    apart = np.linalg.norm(apply_homography(fits[0], corners) - apply_homography(fits[1], corners), axis=1).max()
    residual = Residual(
        held_out_median_px=float(np.median(blocks.lengths)),
        held_out_p95_px=float(np.percentile(blocks.lengths, 95)),
        halves_px=float(apart),
        blocks=len(blocks.lengths),
        ecc=found.ecc,
        features=found.features,
    )
    check(found.homography, residual, limits, (width, height))
    return residual, blocks


def block_shifts(well: Grey, low: Grey, homography: Matrix, mirror: bool, where: Mask) -> BlockShifts:
    """How far each textured block with `where` set (uint8, H x W, constant on blocks) still is from its partner.

    One least-squares step per block: low = a * well - a * gradient . shift + b, with the gradient of the bright (clean)
    picture, so that noise in the dark one neither hides nor invents a shift.
    """
    import cv2

    size = well.shape[::-1]
    matrix = compose(homography, mirror, low.shape[1])
    over = cv2.warpPerspective(low, matrix, size, flags=cv2.INTER_CUBIC, borderValue=math.nan)
    bright, dark = local_contrast(well, 1.0, WINDOW_PX), local_contrast(np.nan_to_num(over), 1.0, WINDOW_PX)
    dx, dy = (cv2.Sobel(bright, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    unseen = cv2.dilate(np.isnan(over).astype(np.uint8), np.ones((5, 5), np.uint8))
    centres, shifts = [], []
    for top in range(0, well.shape[0] - BLOCK_PX + 1, BLOCK_PX):
        for left in range(0, well.shape[1] - BLOCK_PX + 1, BLOCK_PX):
            part = (slice(top, top + BLOCK_PX), slice(left, left + BLOCK_PX))
            if not where[top, left] or unseen[part].any():
                continue
            shift = _shift(bright[part], dark[part], dx[part], dy[part])
            if shift is not None:
                centres.append((left + (BLOCK_PX - 1) / 2, top + (BLOCK_PX - 1) / 2))
                shifts.append(shift)
    return BlockShifts(np.array(centres).reshape(-1, 2), np.array(shifts).reshape(-1, 2))


def _shift(bright: Grey, dark: Grey, dx: Grey, dy: Grey) -> tuple[float, float] | None:
    """Shift of one block in pixels, or None where it has no texture in both directions or no likeness."""
    terms = np.stack([bright.ravel(), dx.ravel(), dy.ravel(), np.ones(bright.size, np.float32)], axis=1).astype(
        np.float64
    )
    gradients = terms[:, 1:3].T @ terms[:, 1:3] / len(terms)
    if np.linalg.eigvalsh(gradients)[0] < 1e-3:
        return None
    (scale, along_x, along_y, _), *_ = np.linalg.lstsq(terms, dark.ravel().astype(np.float64), rcond=None)
    if scale < 0.1:
        return None
    return -along_x / scale, -along_y / scale


def check(homography: Matrix, residual: Residual, limits: Limits, size: tuple[int, int]) -> None:
    """Raise Refused, naming the test, when a registration is implausible or does not hold."""
    width, height = size
    centre = np.array([[(width - 1) / 2, (height - 1) / 2]])
    quarter = np.array([[width / 4, 0]])
    across = apply_homography(homography, centre + quarter) - apply_homography(homography, centre - quarter)
    angle = math.degrees(math.atan2(across[0, 1], across[0, 0]))
    scale = float(np.linalg.norm(across)) / (width / 2)
    shift = float(np.linalg.norm(apply_homography(homography, centre) - centre))
    tests = [
        ("correlation of the two views", residual.ecc, limits.ecc_min, residual.ecc >= limits.ecc_min, ""),
        ("rotation", abs(angle), limits.rotation_deg, abs(angle) <= limits.rotation_deg, " degrees"),
        ("scale", scale, 1 + limits.scale_deviation, abs(scale - 1) <= limits.scale_deviation, ""),
        ("shift", shift, limits.shift_share * width, shift <= limits.shift_share * width, " px"),
        ("median residual on held-out blocks", residual.held_out_median_px, limits.held_out_median_px,
         residual.held_out_median_px <= limits.held_out_median_px, " px"),
        ("95th percentile of the residual on held-out blocks", residual.held_out_p95_px, limits.held_out_p95_px,
         residual.held_out_p95_px <= limits.held_out_p95_px, " px"),
        ("corner disagreement of two half fits", residual.halves_px, limits.halves_px,
         residual.halves_px <= limits.halves_px, " px"),
    ]  # fmt: skip
    for name, value, limit, passed, unit in tests:
        if not passed:
            raise Refused(
                f"alignment refused: {name} is {value:.3g}{unit}, the limit is {limit:.3g}{unit}", SHOOT_AGAIN
            )
