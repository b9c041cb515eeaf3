"""A raw frame in numbers, as the page shows them: levels, clipping, histogram, sharpness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exlcap.core.rig import WHITE_DN
from exlcap.core.take import Raw

STOPS = 12
BINS_PER_STOP = 12


@dataclass(frozen=True, eq=False)
class Planes:
    """The four colours of a raw frame's 2 x 2 blocks, each uint16 (H / 2, W / 2)."""

    red: Raw
    green1: Raw
    green2: Raw
    blue: Raw


def planes_of(raw: Raw) -> Planes:
    """Take a raw frame apart: uint16 (H, W), RGGB."""
    parts = (np.ascontiguousarray(raw[y::2, x::2]) for y in (0, 1) for x in (0, 1))
    return Planes(*parts)


@dataclass(frozen=True)
class Measured:
    """A raw frame in numbers. white_share: of the pixels, at the top; zero_share: at 0, where the black level cuts.

    histogram: counts for red, green and blue. The first bin holds what is less than 1 DN above the dark level, the
    others a twelfth of a stop each, up to white. sharpness: see `sharpness`.
    """

    mean_dn: float
    white_share: float
    zero_share: float
    histogram: tuple[list[int], list[int], list[int]]
    sharpness: float

    def data(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "mean_dn": round(self.mean_dn, 2),
            "white_share": round(self.white_share, 6),
            "zero_share": round(self.zero_share, 6),
            "histogram": self.histogram,
            "sharpness": self.sharpness,
        }


def measure(planes: Planes, dark_dn: float) -> Measured:
    """Measure a frame. dark_dn: its level without light."""
    red, green1, green2, blue = (_counts(p) for p in (planes.red, planes.green1, planes.green2, planes.blue))
    counts = red + green1 + green2 + blue
    pixels = float(counts.sum())
    mean_dn = float(counts @ np.arange(WHITE_DN + 1)) / pixels
    return Measured(
        mean_dn=mean_dn,
        white_share=float(counts[WHITE_DN]) / pixels,
        zero_share=float(counts[0]) / pixels,
        histogram=(_by_stops(red, dark_dn), _by_stops(green1 + green2, dark_dn), _by_stops(blue, dark_dn)),
        sharpness=sharpness(planes, mean_dn - dark_dn),
    )


def _counts(plane: Raw) -> npt.NDArray[np.float64]:
    """Pixels of each level, (4096,)."""
    import cv2

    counts = cv2.calcHist([plane], [0], None, [WHITE_DN + 1], [0, WHITE_DN + 1])
    return np.asarray(counts, np.float64).reshape(-1)


def _by_stops(counts: npt.NDArray[np.float64], dark_dn: float) -> list[int]:
    """Counts over light on a scale of stops. Each level is spread over its width, or low bins would form a comb."""
    top = WHITE_DN + 0.5 - dark_dn
    edges = dark_dn + top * 2.0 ** (np.arange(-STOPS * BINS_PER_STOP, 1) / BINS_PER_STOP)
    levels = np.arange(WHITE_DN + 2) - 0.5
    below = np.interp(edges, levels, np.concatenate([[0.0], np.cumsum(counts)]))
    return [round(float(count)) for count in np.diff(below, prepend=0.0)]


def sharpness(planes: Planes, level_dn: float) -> float:
    """Energy of the green gradients over that of the mean level (Tenengrad: Krotkov, IJCV 1988), 0 without light.

    Both greens of a block see nearly the same place with noise of their own, so the product of their gradients holds
    no noise, where the square of one would rise in the dark. So sharpness compares between settings of one scene.
    """
    import cv2

    if level_dn <= 0:
        return 0.0
    first, second = (plane.astype(np.float32) for plane in (planes.green1, planes.green2))
    energy = 0.0
    for dx, dy in ((1, 0), (0, 1)):
        along = (cv2.Sobel(plane, cv2.CV_32F, dx, dy, ksize=3, scale=0.25) for plane in (first, second))
        energy += float(np.mean(np.multiply(*along)))
    return max(0.0, energy / level_dn**2)
