"""Pictures that show at a glance whether an alignment holds."""

from __future__ import annotations

import numpy as np

from exlcap.align.pictures import Grey
from exlcap.align.quality import BlockShifts
from exlcap.alignment import Alignment
from exlcap.develop import Rgb8, to_srgb

TILE_PX = 60


def checkerboard(well: Grey, low: Grey, alignment: Alignment) -> Rgb8:
    """Bright and dark view in alternate tiles of the common area, each brought to the same level: uint8 (H, W, 3)."""
    import cv2

    over = cv2.warpPerspective(low, alignment.low_to_well, well.shape[::-1], flags=cv2.INTER_CUBIC)
    x, y, width, height = alignment.crop
    pictures = [_levelled(grey[y : y + height, x : x + width]) for grey in (well, over)]
    tiles = np.add.outer(np.arange(height) // TILE_PX, np.arange(width) // TILE_PX) % 2
    return to_srgb(np.repeat(np.where(tiles, *pictures)[..., None], 3, axis=2).astype(np.float32))


def _levelled(grey: Grey) -> Grey:
    low, high = np.percentile(grey, (0.5, 99))
    levelled: Grey = np.clip((grey - low) / max(high - low, 1e-9), 0, 1)
    return levelled


def arrows(picture: Rgb8, alignment: Alignment, blocks: BlockShifts, enlarge: float = 200.0) -> Rgb8:
    """The residual shift of every block, drawn `enlarge` times its length."""
    import cv2

    drawn = picture.copy()
    for centre, shift in zip(blocks.centres - alignment.crop[:2], blocks.shifts, strict=True):
        ends = [tuple(round(16 * v) for v in point) for point in (centre, centre + enlarge * shift)]
        cv2.arrowedLine(drawn, *ends, (255, 60, 60), 2, cv2.LINE_AA, 4, 0.3)
    return drawn
