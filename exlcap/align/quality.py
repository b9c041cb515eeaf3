"""How far a registration can be trusted, measured on parts of the picture that its fit did not see."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exlcap.align.blocks import (
    Array,
    Blocks,
    Fit,
    cells_of,
    fit_blocks,
    jacobian,
    normal_equations,
    pooled_shifts,
    resample,
    solve_robustly,
)
from exlcap.align.luminance import Grey, local_contrast
from exlcap.align.register import SAME_VIEW, SHOOT_AGAIN, WINDOW_PX, Registration, blocks_at, blocks_back, flip, shrunk
from exlcap.core.alignment import Matrix, Points, Residual, apply_homography, image_corners
from exlcap.core.errors import Refused
from exlcap.core.rig import AlignmentLimits

CELLS_ACROSS = 10
FOLDS = 12
FEWEST_CELLS = 8
RIVAL_SCALE = 4
PEAK_PX = 4
"""A match this near to the registered place counts as the same place, in pixels of the shrunken pictures."""
CELL_SD_PX = 0.5
"""A cell whose own shift is less certain than this does not judge the fit."""
CHI2_999 = 32.9
"""Chi^2 with 12 degrees of freedom exceeds this by chance once in a thousand times."""


@dataclass(frozen=True)
class BlockShifts:
    """Residual shift of each cell of the picture: centres and shifts in pixels of the bright picture, (N, 2)."""

    centres: Array
    shifts: Array

    @property
    def lengths(self) -> Array:
        """Length of each shift in pixels, (N,)."""
        lengths: Array = np.linalg.norm(self.shifts, axis=1)
        return lengths


def measure(well: Grey, low: Grey, registration: Registration, limits: AlignmentLimits) -> tuple[Residual, BlockShifts]:
    """Residuals of a registration and the map of cell shifts they come from.

    Cross-validation: the blocks are dealt to folds by cells, and each cell is judged by the fit that left its fold out,
    so no cell is judged by a fit that saw it. The same fits give the corners' standard deviation (grouped jackknife,
    Efron and Stein, Annals of Statistics 1981). Raises Refused, naming the test that failed.
    """
    size = (well.shape[1], well.shape[0])
    seen = flip(low, registration.mirror)
    check_geometry(registration.homography, registration.ecc, limits, size)
    other = rival(well, seen, registration.homography)
    if other > limits.rival:
        shares = (
            f"another place matches {100 * other:.0f} % as well as this one, the limit is {100 * limits.rival:.0f} %"
        )
        raise Refused(
            f"alignment refused: {shares}", "the scene has a repeating pattern, such as tiles: " + SHOOT_AGAIN
        )
    blocks = blocks_at(well, seen, registration.homography)
    fit = fit_blocks(blocks, size)
    back = fit_blocks(blocks_back(well, seen, registration.homography), size)
    cells = cells_of(blocks, CELLS_ACROSS)
    board = cells.sum(1) % 2 == 0
    halves = [fit_blocks(blocks, size, use) for use in (board, ~board)]
    if fit is None or back is None or halves[0] is None or halves[1] is None:
        raise Refused("the alignment fails on half of the picture", SHOOT_AGAIN)
    corners = image_corners(size)
    sd, shifts = _cross_validated(blocks, cells, fit, size, corners)
    residual = Residual(
        held_out_median_px=float(np.median(shifts.lengths)),
        held_out_p95_px=float(np.percentile(shifts.lengths, 95)),
        halves_px=_apart(halves[0].correction, halves[1].correction, corners),
        blocks=len(shifts.lengths),
        ecc=registration.ecc,
        features=registration.features,
        corner_sd_px=(float(sd[0]), float(sd[1]), float(sd[2]), float(sd[3])),
        back_px=_apart(fit.correction, back.correction, corners),
        structure_px=structure(blocks, size),
    )
    check_residual(residual, limits)
    return residual, shifts


def _cross_validated(
    blocks: Blocks, cells: npt.NDArray[np.intp], fit: Fit, size: tuple[int, int], corners: Points
) -> tuple[Array, BlockShifts]:
    """Standard deviation of each corner in px, (4,), and the shift of every cell that its own fit did not see."""
    fold = (cells[:, 0] * 5 + cells[:, 1] * 7) % FOLDS  # neighbours, and cells of one row or column, in different folds
    placed, judged = [], []
    for number in range(FOLDS):
        without = fit_blocks(blocks, size, fold != number)
        if without is None:
            raise Refused("the whole alignment depends on one part of the picture", SHOOT_AGAIN)
        placed.append(apply_homography(without.correction, corners))
        out = fold == number
        if out.any():
            judged.append(_judge(blocks, fit, without, out, cells))
    spread = np.sqrt((FOLDS - 1) * np.var(placed, axis=0).sum(-1))
    centres, shifts = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    if len(shifts) < FEWEST_CELLS:
        raise Refused(f"only {len(shifts)} parts of the picture have enough texture to check the alignment on "
                      f"({FEWEST_CELLS} needed)", SHOOT_AGAIN)  # fmt: skip
    return spread, BlockShifts(centres, shifts)


def _judge(
    blocks: Blocks, fit: Fit, without: Fit, out: npt.NDArray[np.bool_], cells: npt.NDArray[np.intp]
) -> tuple[Points, Array]:
    """Centres and residual shifts of the left-out cells against the fit without them."""
    part = replace(blocks, centres=blocks.centres[out], score=blocks.score[out], information=blocks.information[out])
    centres, shifts, covariance = pooled_shifts(part, fit.weights[out], cells[out])
    sure = fit.scatter * np.sqrt(np.trace(covariance, axis1=1, axis2=2)) < CELL_SD_PX
    moved = apply_homography(without.correction, centres[sure]) - centres[sure]
    return centres[sure], shifts[sure] - moved


def _apart(one: Matrix, other: Matrix, points: Points) -> float:
    return float(np.linalg.norm(apply_homography(one, points) - apply_homography(other, points), axis=1).max())


def structure(blocks: Blocks, size: tuple[int, int]) -> float:
    """Largest shift in px that smooth distortion explains and a homography does not; 0 where chance may explain it.

    Polynomials of third degree in both directions (they hold radial distortion and smooth parallax) against a
    homography: 20 against 8 parameters, tested by chi^2.
    """
    moves = jacobian(blocks.centres, size)
    half = size[0] / 2
    x, y = moves[:, 0, 0] / half, moves[:, 0, 1] / half
    powers = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], -1) * half
    bent = np.zeros((len(x), 2, 2 * powers.shape[1]))
    bent[:, 0, : powers.shape[1]], bent[:, 1, powers.shape[1] :] = powers, powers
    solved = solve_robustly(blocks, bent)
    if solved is None:
        return 0.0
    curved, weights, scatter = solved
    normal, right = normal_equations(blocks, moves, weights)
    flat = np.linalg.solve(normal, right)
    gain = float(normal_equations(blocks, bent, weights)[1] @ curved - right @ flat)
    if gain < CHI2_999 * scatter**2:
        return 0.0
    strength = np.trace(blocks.information, axis1=1, axis2=2)
    fields = np.linalg.norm(bent @ curved - moves @ flat, axis=1)
    return float(fields[strength > 0.1 * np.median(strength)].max())


def rival(well: Grey, low: Grey, homography: Matrix) -> float:
    """How well the two views match at the best other place, relative to the registered one.

    Near 1 for a wall of equal tiles, where one place is as good as the next. Circular cross-correlation of small
    pictures of local contrast; `low` is un-mirrored.
    """
    to_low: Matrix = np.linalg.inv(homography).astype(np.float64)
    over = np.nan_to_num(resample(low, to_low, (well.shape[1], well.shape[0])))
    bright, dark = (np.fft.rfft2(local_contrast(shrunk(grey, RIVAL_SCALE), 1.0, WINDOW_PX)) for grey in (well, over))
    match = np.fft.fftshift(np.fft.irfft2(bright * np.conj(dark)))
    y, x = match.shape[0] // 2, match.shape[1] // 2
    here = match[y - 1 : y + 2, x - 1 : x + 2].max()
    match[y - PEAK_PX : y + PEAK_PX + 1, x - PEAK_PX : x + PEAK_PX + 1] = -np.inf
    return float(match.max() / max(here, 1e-12))


def placement(homography: Matrix, size: tuple[int, int]) -> tuple[float, float, tuple[float, float]]:
    """How a homography turns (degrees, clockwise on the screen), scales and shifts (px) the middle of a picture of
    (width, height).
    """
    width, height = size
    centre = np.array([[(width - 1) / 2, (height - 1) / 2]])
    quarter = np.array([[width / 4, 0]])
    left, middle, right = (apply_homography(homography, centre + step * quarter)[0] for step in (-1, 0, 1))
    across, shift = right - left, middle - centre[0]
    angle = math.degrees(math.atan2(across[1], across[0]))
    return angle, float(np.linalg.norm(across)) / (width / 2), (float(shift[0]), float(shift[1]))


def check_geometry(homography: Matrix, ecc: float, limits: AlignmentLimits, size: tuple[int, int]) -> None:
    """Raise Refused, naming the test, when two views do not correlate or lie implausibly to each other.

    size: (width, height).
    """
    width = size[0]
    angle, scale, (x, y) = placement(homography, size)
    shift = math.hypot(x, y)
    mounting = "check that both cameras look through the same lens and are mounted straight; limits: rig.toml"
    _refuse_any([
        ("correlation of the two views", ecc, limits.correlation_min, ecc >= limits.correlation_min, "",
         SAME_VIEW),
        ("rotation", abs(angle), limits.rotation_deg, abs(angle) <= limits.rotation_deg, " degrees", mounting),
        ("scale", scale, 1 + limits.scale_deviation, abs(scale - 1) <= limits.scale_deviation, "", mounting),
        ("shift", shift, limits.shift_share * width, shift <= limits.shift_share * width, " px", mounting),
    ])  # fmt: skip


def check_residual(residual: Residual, limits: AlignmentLimits) -> None:
    """Raise Refused, naming the test, when a residual is above its limit."""
    named = [
        ("uncertainty of a corner", max(residual.corner_sd_px or (0.0,)), limits.corner_sd_px),
        ("corner disagreement of two half fits", residual.halves_px, limits.halves_px),
        ("corner disagreement of the fits both ways", residual.back_px or 0.0, limits.back_px),
        ("median residual on held-out parts", residual.held_out_median_px, limits.held_out_median_px),
        ("95th percentile of the residual on held-out parts", residual.held_out_p95_px, limits.held_out_p95_px),
    ]
    more_light = "use more light or more frames ([reference] in rig.toml) and keep everything still; " + SHOOT_AGAIN
    _refuse_any([(name, value, limit, value <= limit, " px", more_light) for name, value, limit in named])


def _refuse_any(tests: list[tuple[str, float, float, bool, str, str]]) -> None:
    for name, value, limit, passed, unit, remedy in tests:
        if not passed:
            raise Refused(f"alignment refused: {name} is {value:.3g}{unit}, the limit is {limit:.3g}{unit}", remedy)
