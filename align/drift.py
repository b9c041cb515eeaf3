"""Has the rig moved since its alignment? Measured on a take's own frames at k = 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exlcap.align.blocks import cells_of, pooled_shifts
from exlcap.align.pictures import luminance, mean_of
from exlcap.align.quality import CELLS_ACROSS
from exlcap.align.register import blocks_at, flip
from exlcap.alignment import Alignment
from exlcap.take import Take

DRIFT_LIMIT_PX = 0.5
CELL_SD_PX = 0.5
FEWEST_CELLS = 6


@dataclass(frozen=True)
class Drift:
    """Shift in pixels of the bright image that a take needs on top of the alignment, and the parts it comes from."""

    shift_px: tuple[float, float]
    cells: int

    @property
    def px(self) -> float:
        """Its length."""
        return float(np.hypot(*self.shift_px))


def measure_drift(take: Take, alignment: Alignment) -> Drift | None:
    """How far a take lies from an alignment; None when its frames are too dark or too blank to tell.

    Both frames of a pair are of one instant, so people do not harm; the median over the parts of the picture keeps
    those out that do (reflections, things near the lens). Uses the brightest step, k = 1 where there is one.
    """
    brightest = min((pair.k for pair in take.pairs), default=None)
    pairs = [pair for pair in take.pairs if pair.k == brightest]
    if not pairs:
        return None
    black = take.header.rig.sensor.black_level_dn
    well, low = (luminance(mean_of(take, pairs, role), black) for role in ("well", "low"))
    blocks = blocks_at(well, flip(low, alignment.mirror), np.array(alignment.homography))
    ones = np.ones(len(blocks.centres))
    if not len(ones):
        return None
    _, shifts, covariance = pooled_shifts(blocks, ones, cells_of(blocks, CELLS_ACROSS))
    sure = np.sqrt(np.trace(covariance, axis1=1, axis2=2)) < CELL_SD_PX
    if sure.sum() < FEWEST_CELLS:
        return None
    x, y = np.median(shifts[sure], axis=0)
    return Drift((float(x), float(y)), int(sure.sum()))
