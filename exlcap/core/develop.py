"""From raw Bayer to a picture: black level -> linear light -> white balance -> RGB -> colour matrix -> sRGB.

12 bits are kept until the last step: demosaicing runs on 16 bits (four spare bits) or in float32, everything after it
in float32 linear light, in which values below black stay negative, so that averaging dark frames has no bias. Only the
last step of an 8-bit image clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from exlcap.core.alignment import Alignment, Crop, common_crop
from exlcap.core.demosaic import Plane, malvar
from exlcap.core.resample import evenly_smoothed, resampled
from exlcap.core.rig import LIGHTS, WHITE_DN, Light, Matrix3, Rig

if TYPE_CHECKING:
    from exlcap.core.take import Pair, Take

Linear = npt.NDArray[np.float32]
Rgb8 = npt.NDArray[np.uint8]
Demosaic = Literal["bilinear", "malvar"]
Balance = tuple[float, float, float]
LUT_BITS = 16
CACHED = 1 << 16
"""So many values are encoded at a time: what fits into a core's cache is done in two thirds of the time."""

FLOATS = "expected linear light as an array of floats, 0 at black and 1 at white"
NAN = f"{FLOATS}, got a value that is NaN"


@dataclass(frozen=True)
class Development:
    """Parameters of a development. black_level_dn: in 12-bit numbers. white_balance: factors for red, green, blue.

    colour_matrix: from the balanced colours of the camera to those of sRGB, in linear light; None leaves them.
    """

    black_level_dn: float
    white_balance: Balance = (1.0, 1.0, 1.0)
    colour_matrix: Matrix3 | None = None
    demosaic: Demosaic = "bilinear"


def development_of(rig: Rig, light: Light, alignment: Alignment | None) -> Development:
    """The development of a camera's frames: its own dark level and colours, and the alignment's white balance.

    Bright frames with Malvar's filters, which are 3 dB nearer to the truth there; dark ones bilinearly, as those
    filters take noise for detail (they lose from about 33 dB of gain on).
    """
    balance = (1.0, 1.0, 1.0) if alignment is None else white_keeping(alignment.white_balance(light))
    demosaic: Demosaic = "malvar" if light == "well" else "bilinear"
    return Development(rig.dark_level_dn(light), balance, rig.colour_matrix(light), demosaic)


def white_keeping(balance: Balance) -> Balance:
    """A white balance scaled so that its smallest factor is 1.

    A saturated pixel is at white in all three channels. A factor below 1 would take it below white and tint it.
    """
    least = min(balance)
    return balance[0] / least, balance[1] / least, balance[2] / least


def develop(raw: npt.NDArray[np.uint16], development: Development) -> Linear:
    """Raw frame to linear light.

    raw: uint16 (H, W), 12-bit RGGB Bayer. Returns float32 (H, W, 3), RGB, 0 at black and 1 at white of the sensor,
    signed and not clipped: noise reaches below 0, and white balance above 1. Every pixel's centre stays where it is.
    """
    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise ValueError(f"expected a raw frame uint16 (H, W), got {raw.dtype} {raw.shape}")
    developed = malvar(_balanced(raw, development)) if development.demosaic == "malvar" else _bilinear(raw, development)
    return developed if development.colour_matrix is None else coloured(developed, development.colour_matrix)


def _balanced(raw: npt.NDArray[np.uint16], development: Development) -> Plane:
    """The mosaic in linear light, white balanced: float32 (H, W)."""
    red, green, blue = np.array(development.white_balance) / (WHITE_DN - development.black_level_dn)
    mosaic = raw.astype(np.float32)
    mosaic -= np.float32(development.black_level_dn)
    mosaic[0::2] *= np.resize(np.array((red, green), np.float32), raw.shape[1])
    mosaic[1::2] *= np.resize(np.array((green, blue), np.float32), raw.shape[1])
    return mosaic


def _bilinear(raw: npt.NDArray[np.uint16], development: Development) -> Linear:
    """Balanced linear light by bilinear interpolation."""
    import cv2

    # OpenCV names a pattern by the second row's second and third pixel: RGGB is its "BG"
    colour = cv2.cvtColor(raw << np.uint16(4), cv2.COLOR_BayerBG2RGB)
    balance = np.array(development.white_balance, np.float64)
    range_dn = WHITE_DN - development.black_level_dn
    # whole rows, since NumPy is five times slower over a last axis of three
    width = raw.shape[1]
    linear = colour.reshape(raw.shape[0], 3 * width).astype(np.float32)
    linear *= np.tile(balance / (16 * range_dn), width).astype(np.float32)
    linear -= np.tile(balance * development.black_level_dn / range_dn, width).astype(np.float32)
    developed: Linear = linear.reshape(*raw.shape, 3)
    return developed


def coloured(linear: Linear, matrix: Matrix3) -> Linear:
    """Balanced linear light (H, W, 3) through a colour matrix, whose rows add up to 1. Nothing is clipped.

    What lies above white is added afterwards: a saturated pixel's balanced channels differ, and the matrix would take
    one of them below white.
    """
    import cv2

    to_white = np.minimum(linear, 1)
    made: Linear = cv2.transform(to_white, np.array(matrix)) + (linear - to_white)
    return made


def develop_frame(take: Take, pair: Pair, light: Light, alignment: Alignment | None) -> Linear:
    """One frame of a take in linear light: float32 (H, W, 3), RGB, in the geometry of its raw frame.

    alignment: gives the white balance; None leaves the camera's own. Raises ExlcapError when the frame is missing or
    damaged.
    """
    return develop(take.raw(pair, light), development_of(take.header.rig, light, alignment))


def develop_aligned(take: Take, pair: Pair, alignment: Alignment, warp: Light) -> tuple[Linear, Linear]:
    """Both frames of a pair in linear light on one grid, well-lit and low-light: float32 (h, w, 3) each.

    warp: the frame that is warped onto the other one; the grid is the common crop of the other.
    """
    well, low = (develop_frame(take, pair, light, alignment) for light in LIGHTS)
    if warp == "well":
        return well_on_low(well, alignment), cropped_low(low, alignment)
    return cropped(well, alignment), low_on_well(low, alignment)


def srgb_thresholds() -> npt.NDArray[np.float32]:
    """The least linear light of each 8-bit sRGB level from 1 to 255, float32 (255,), rising (IEC 61966-2-1)."""
    encoded = (np.arange(1, 256) - 0.5) / 255
    linear = np.where(encoded <= 12.92 * 0.0031308, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    below = linear.astype(np.float32)
    return np.where(below < linear, np.nextafter(below, np.float32(1)), below)


@cache
def _srgb_tables() -> tuple[Rgb8, npt.NDArray[np.float32]]:
    """For every 16-bit level of linear light, the 8-bit level at its lower edge; for every 8-bit level, the light from
    which on it is the next one. The steps of 16 bits are so fine that no two thresholds lie in one.
    """
    thresholds = srgb_thresholds()
    lower_edge = (np.arange(1 << LUT_BITS) - 0.51) / ((1 << LUT_BITS) - 1)
    at_least = np.searchsorted(thresholds, lower_edge, side="right").astype(np.uint8)
    return at_least, np.append(thresholds, np.float32(np.inf))


def to_srgb(linear: Linear) -> Rgb8:
    """Linear light, floats of any shape, clipped to 0..1, as 8-bit sRGB, the nearest level for every value.

    A table of 16-bit levels alone would round twice: 1.45e-4 would be level 1 already, where 1.518e-4 is the border,
    and dark images too bright. So the table gives a level or the one below it, and a comparison decides.

    Raises ValueError when the values are not floats, or one is NaN.
    """
    import cv2

    _check_floats(linear)
    at_least, next_from = _srgb_tables()
    flat = np.ascontiguousarray(linear, np.float32).reshape(1, -1)
    encoded = np.empty(flat.shape, np.uint8)
    for start in range(0, flat.shape[1], CACHED):
        part = flat[:, start : start + CACHED]
        if np.isnan(np.vdot(part, part)):  # a sum of squares, so infinite values do not cancel to NaN
            raise ValueError(NAN)
        level = cv2.LUT(cv2.multiply(part, (1 << LUT_BITS) - 1.0, dtype=cv2.CV_16U), at_least)
        is_next = cv2.compare(part, cv2.LUT(level, next_from), cv2.CMP_GE)  # 255, which is -1 in uint8
        np.subtract(level, is_next, out=encoded[:, start : start + CACHED])
    return encoded.reshape(linear.shape)


def amplified(linear: Linear, mean: float = 0.4) -> Linear:
    """Dark linear light, any shape, scaled to a mean level for the eye; a black picture stays black.

    Raises ValueError when the values are not floats, or one is NaN.
    """
    _check_floats(linear)
    level = float(np.clip(linear, 0, 1).mean()) if linear.size else 0.0
    if np.isnan(level):
        raise ValueError(NAN)
    return linear * np.float32(mean / level) if level > 0 else linear


def _check_floats(linear: Linear) -> None:
    """Raise ValueError unless these are floats: whole numbers would pass for values far above white."""
    if not isinstance(linear, np.ndarray):
        raise ValueError(f"{FLOATS}, got {type(linear).__name__}")
    if linear.dtype.kind != "f":
        raise ValueError(f"{FLOATS}, got {linear.dtype} {linear.shape}")


def low_on_well(linear: Linear, alignment: Alignment) -> Linear:
    """A developed dark frame warped onto the bright one and cropped to the common area, float32 (H, W, 3).

    Smoothed first, so that noise is even. Interpolation alone averages noise away half-way between pixels and leaves it
    at whole ones, and demosaicing has it uneven between colours; both beat into a grid at the same place of every frame
    (standard deviation up to a factor of 2, 1.4 over 8 x 8 pixels), which a network can learn. Signed, not clipped.
    """
    x, y, width, height = alignment.crop
    return resampled(evenly_smoothed(linear), _shift(x, y) @ alignment.low_to_well, (width, height))


def well_on_low(linear: Linear, alignment: Alignment) -> Linear:
    """A developed bright frame warped onto the dark one, turned back and cropped as by `cropped_low`.

    It is not smoothed first, since a bright frame has little noise.
    """
    x, y, width, height = low_crop(alignment)
    return resampled(linear, _shift(x, y) @ np.linalg.inv(np.array(alignment.homography)), (width, height))


def _shift(x: int, y: int) -> npt.NDArray[np.float64]:
    """Matrix that makes (x, y) the origin."""
    return np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])


def cropped(linear: Linear, alignment: Alignment) -> Linear:
    """The common area of a developed bright frame, float32 (H, W, 3)."""
    x, y, width, height = alignment.crop
    return linear[y : y + height, x : x + width]


def low_crop(alignment: Alignment) -> Crop:
    """The common area as a rectangle of whole pixels of the dark frame, turned back where it is mirrored.

    Raises ExlcapError when the views do not overlap.
    """
    return common_crop(np.linalg.inv(np.array(alignment.homography)), alignment.well_size, alignment.low_size)


def cropped_low(linear: Linear, alignment: Alignment) -> Linear:
    """The common area of a developed dark frame, its pixels as they are, turned back where it is mirrored."""
    x, y, width, height = low_crop(alignment)
    upright = linear[:, ::-1] if alignment.mirror else linear
    return upright[y : y + height, x : x + width]
