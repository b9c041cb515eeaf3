"""From raw Bayer to a picture: black level -> linear light -> white balance -> RGB -> colour matrix -> sRGB.

12 bits are kept until the last step: demosaicing runs on 16 bits (four spare bits), everything after it in float32
linear light, in which values below black stay negative, so that averaging dark frames has no bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from exlcap.core.rig import LIGHTS, WHITE_DN, Light, Matrix3, Rig

if TYPE_CHECKING:
    from exlcap.core.alignment import Alignment
    from exlcap.core.take import Pair, Take

Linear = npt.NDArray[np.float32]
Rgb8 = npt.NDArray[np.uint8]
LUT_BITS = 16


@dataclass(frozen=True)
class Development:
    """Parameters of a development. black_level_dn: in 12-bit numbers. white_balance: factors for red, green, blue.

    colour_matrix: from the balanced colours of the camera to those of sRGB, in linear light; None leaves them.
    """

    black_level_dn: float
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    colour_matrix: Matrix3 | None = None


def development_of(rig: Rig, light: Light, alignment: Alignment | None) -> Development:
    """The development of a camera's frames: its own dark level and colours, and the alignment's white balance."""
    balance = (1.0, 1.0, 1.0) if alignment is None else alignment.white_balance(light)
    return Development(rig.dark_level_dn(light), balance, rig.colour_matrix(light))


def develop(raw: npt.NDArray[np.uint16], development: Development) -> Linear:
    """Raw frame to linear light.

    raw: uint16 (H, W), 12-bit RGGB Bayer. Returns float32 (H, W, 3), RGB, 0 at black and 1 at white of the sensor, not
    clipped. Bilinear demosaicing, which keeps every pixel's centre in place.
    """
    import cv2

    if raw.dtype != np.uint16 or raw.ndim != 2:
        raise ValueError(f"expected a raw frame uint16 (H, W), got {raw.dtype} {raw.shape}")
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
    if development.colour_matrix is not None:
        # white must stay white: a saturated pixel's balanced channels differ, and the matrix would colour it
        np.minimum(developed, 1, out=developed)
        developed = cv2.transform(developed, np.array(development.colour_matrix))
    return developed


def develop_frame(take: Take, pair: Pair, light: Light, alignment: Alignment | None) -> Linear:
    """One frame of a take in linear light: float32 (H, W, 3), RGB, in the geometry of its raw frame.

    alignment: gives the white balance; None leaves the camera's own. Raises ExlcapError when the frame is missing or
    damaged.
    """
    return develop(take.raw(pair, light), development_of(take.header.rig, light, alignment))


def develop_aligned(take: Take, pair: Pair, alignment: Alignment) -> tuple[Linear, Linear]:
    """Both frames of a pair in linear light on one grid, well-lit and low-light: float32 (h, w, 3) each.

    The grid is the alignment's common crop of the bright frame, onto which the dark frame is warped.
    """
    well, low = (develop_frame(take, pair, light, alignment) for light in LIGHTS)
    return cropped(well, alignment), low_on_well(low, alignment)


@cache
def _srgb_table() -> Rgb8:
    """The sRGB value of every 16-bit level of linear light (IEC 61966-2-1), uint8 (65536,)."""
    linear = np.arange(1 << LUT_BITS, dtype=np.float64) / ((1 << LUT_BITS) - 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)


def to_srgb(linear: Linear) -> Rgb8:
    """Linear light, clipped to 0..1, as 8-bit sRGB. Any shape."""
    import cv2

    levels = np.clip(linear, 0, 1) * np.float32((1 << LUT_BITS) - 1) + np.float32(0.5)
    flat = levels.astype(np.uint16).reshape(1, -1)
    encoded: Rgb8 = cv2.LUT(flat, _srgb_table()).reshape(linear.shape)
    return encoded


def amplified(linear: Linear, mean: float = 0.4) -> Linear:
    """Dark linear light, any shape, scaled to a mean level for the eye; a black picture stays black."""
    level = float(np.clip(linear, 0, 1).mean())
    return linear * np.float32(mean / level) if level > 0 else linear


def low_on_well(linear: Linear, alignment: Alignment) -> Linear:
    """A developed dark frame warped onto the bright one and cropped to the common area, float32 (H, W, 3)."""
    import cv2

    x, y, width, height = alignment.crop
    shift = np.array([[1.0, 0.0, -x], [0.0, 1.0, -y], [0.0, 0.0, 1.0]])
    warped: Linear = cv2.warpPerspective(
        linear, shift @ alignment.low_to_well, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def cropped(linear: Linear, alignment: Alignment) -> Linear:
    """The common area of a developed bright frame, float32 (H, W, 3)."""
    x, y, width, height = alignment.crop
    return linear[y : y + height, x : x + width]
