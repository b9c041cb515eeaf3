"""How two views have moved from where an alignment expects them: shift, turn, zoom and tilt.

From the expected place the views are laid over each other by correlation of small pictures, then by the shifts of their
blocks, so a motion beyond what blocks can follow is not lost. Only blocks that show the same thing in both pictures
count: those that have lost their counterpart would vote for no motion. Where the result does not hold, the views are
registered anew; where that does not hold either, nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exlcap.align.blocks import BLOCK_PX, Array, Blocks, cells_of, fit_blocks, gradient, measure_blocks, resample
from exlcap.align.luminance import NEARLY_WHITE, Grey, local_contrast
from exlcap.align.quality import rival
from exlcap.align.register import coarse, register, scaling, shrunk
from exlcap.core.alignment import Matrix, Points, apply_homography, image_corners
from exlcap.core.errors import Refused
from exlcap.core.rig import AlignmentLimits

WIDTHS_PX = (480, 960)
"""About how wide the pictures are that blocks are measured on, first and last. Finer ones tell little more at 1/100 of
the light and take four times as long."""
STEPS = 6
STOP_PX = 0.01
CELLS_ACROSS = 12
FOLDS = 12
FEWEST_CELLS = 10
FEWEST_ALIKE = 0.15
"""Views of different scenes can be twisted until a tenth of their blocks look alike."""
ALIKE = 0.25
"""Correlation from which a block shows the same thing in both pictures; by chance it is 0 with a spread of 0.07."""
CONTRAST_WINDOW_PX = 8.0
MOST_SD_PX, MOST_SD_SHARE = 0.5, 0.1
"""A motion less certain than this, in px and as a share of it, counts as unknown."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Motion:
    """correction: 3 x 3, to be put before the expected homography; what it does to the `corners` of the bright picture
    is their motion. corner_sd_px: standard deviation of the least certain corner. cells: parts of the picture that show
    the same thing in both views.
    """

    correction: Matrix
    corners: Points
    corner_sd_px: float
    cells: int

    @property
    def px(self) -> float:
        """How far the corner moves that moves most."""
        return float(np.linalg.norm(apply_homography(self.correction, self.corners) - self.corners, axis=1).max())

    @property
    def certain(self) -> bool:
        """Whether the motion is known well enough to be stated."""
        return self.corner_sd_px <= max(MOST_SD_PX, MOST_SD_SHARE * self.px)


@dataclass(frozen=True)
class Place:
    """Where a homography puts two pictures, and what their blocks say there. alike: (N,), see `ALIKE`."""

    homography: Matrix
    blocks: Blocks
    alike: Flags

    @property
    def cells(self) -> int:
        """Parts of the picture with blocks that show the same thing in both views."""
        return len(np.unique(cells_of(self.blocks, CELLS_ACROSS)[self.alike], axis=0))


def motion_between(well: Grey, low: Grey, expected: Matrix) -> Motion | None:
    """How `low` has moved on `well` from where `expected` (3 x 3, `low` to `well`) puts it.

    well, low: float32 (H, W), linear light; low un-mirrored. None where the pictures do not tell: too dark, without
    texture, of different scenes, or as much alike at another place.
    """
    first, last = (max(1, round(well.shape[1] / width)) for width in WIDTHS_PX)
    pair, local = (shrunk(well, last), shrunk(low, last)), _scaled(expected, last)
    corners = image_corners((well.shape[1], well.shape[0]))
    for begin in (_by_correlation, _anew):
        start = begin(*pair, local)
        place = None if start is None else _settled_twice(*pair, start, max(1, round(first / last)))
        if place is None or place.cells < FEWEST_CELLS or place.alike.mean() < FEWEST_ALIKE:
            continue
        correction = _scaled(place.homography @ np.linalg.inv(local), 1 / last)
        sd_px = last * _corner_sd(place, (pair[0].shape[1], pair[0].shape[0]))
        motion = Motion(correction, corners, sd_px, place.cells)
        if motion.certain and rival(*pair, place.homography) <= AlignmentLimits().rival:
            return motion
    return None


def _by_correlation(well: Grey, low: Grey, expected: Matrix) -> Matrix | None:
    found = coarse(well, low, expected)
    return expected if found is None else found[0]


def _anew(well: Grey, low: Grey, expected: Matrix) -> Matrix | None:
    """Registered without regard to where they are expected."""
    try:
        found = register(well, low)
    except Refused:
        return None
    return None if found.mirror else found.homography


def _settled_twice(well: Grey, low: Grey, start: Matrix, scale: int) -> Place | None:
    """Where blocks bring two pictures from a start: those of the pictures made smaller by `scale`, then their own."""
    if scale > 1:
        small = _settled(shrunk(well, scale), shrunk(low, scale), _scaled(start, scale))
        start = start if small is None else _scaled(small.homography, 1 / scale)
    return _settled(well, low, start)


def _settled(well: Grey, low: Grey, start: Matrix) -> Place | None:
    """Where the blocks bring two pictures from a start; None where they lead nowhere."""
    size = (well.shape[1], well.shape[0])
    corners, homography = image_corners(size), start
    contrast = local_contrast(well, 1.0, CONTRAST_WINDOW_PX)
    for _ in range(STEPS):
        blocks, alike = _compared(well, low, contrast, homography)
        fit = fit_blocks(blocks, size, alike)
        if fit is None:
            return None
        homography = fit.correction @ homography
        moved = float(np.abs(apply_homography(fit.correction, corners) - corners).max())
        if not moved < 0.1 * size[0]:
            return None
        if moved < STOP_PX:
            break
    return Place(homography / homography[2, 2], blocks, alike)


def _compared(well: Grey, low: Grey, contrast: Grey, homography: Matrix) -> tuple[Blocks, Flags]:
    """What the blocks say of the shift left by a homography, and which are alike. contrast: local, of `well`."""
    to_low: Matrix = np.linalg.inv(homography).astype(np.float64)
    dark = resample(low, to_low, (well.shape[1], well.shape[0]))
    usable = np.isfinite(dark) & (well < NEARLY_WHITE)
    dark = np.nan_to_num(dark)
    blocks = measure_blocks(well, gradient(well), dark, usable)
    other = local_contrast(dark, 1.0, CONTRAST_WINDOW_PX)
    both, one, two = (_sums(np.where(usable, part, 0)) for part in (contrast * other, contrast**2, other**2))
    likeness = both / np.sqrt(one * two + 1e-12)
    alike: Flags = likeness[blocks.grid[:, 1], blocks.grid[:, 0]] > ALIKE
    return blocks, alike


def _sums(field: Array) -> Array:
    """Sum over each block, (H // BLOCK_PX, W // BLOCK_PX)."""
    rows, columns = (length // BLOCK_PX for length in field.shape)
    cut = field[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    sums: Array = cut.sum((1, 3), dtype=np.float64)
    return sums


def _corner_sd(place: Place, size: tuple[int, int]) -> float:
    """Standard deviation of the least certain corner in px, by grouped jackknife over parts of the picture.

    Infinite where one group of parts carries the fit.
    """
    cells = cells_of(place.blocks, CELLS_ACROSS)
    fold = (cells[:, 0] * 5 + cells[:, 1] * 7) % FOLDS
    corners = image_corners(size)
    fits = [fit_blocks(place.blocks, size, place.alike & (fold != number)) for number in range(FOLDS)]
    placed = [apply_homography(fit.correction, corners) for fit in fits if fit is not None]
    if len(placed) < FOLDS:
        return np.inf
    return float(np.sqrt((FOLDS - 1) * np.var(placed, axis=0).sum(-1)).max())


def _scaled(homography: Matrix, scale: float) -> Matrix:
    """A homography between two pictures as one between the pictures made smaller by `scale`."""
    shrink = scaling(1 / scale)
    scaled = shrink @ homography @ np.linalg.inv(shrink)
    normalised: Matrix = scaled / scaled[2, 2]
    return normalised
