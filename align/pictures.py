"""From a reference take to two pictures that can be compared: averaged, linear, and free of the difference in light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exlcap.develop import Development, develop
from exlcap.errors import Refused
from exlcap.rig import WHITE_DN, Role
from exlcap.take import Take

Grey = npt.NDArray[np.float32]
GREY_WEIGHTS = np.array([0.25, 0.5, 0.25], np.float32)
"""Red, green, blue by their number of pixels in the Bayer pattern: the least noisy sum."""


def average_grey(take: Take, role: Role) -> Grey:
    """Mean of a camera's frames in linear light: float32 (H, W), 0 at black, 1 at white.

    Bilinear demosaicing keeps every pixel's centre, also of the mirrored camera, whose pattern runs the other way.
    Raises Refused when the picture is black or saturated.
    """
    if not take.pairs:
        raise Refused(f"{take.name} has no pairs", "shoot a reference with `exlcap shoot --reference`")
    sensor = take.header.rig.sensor
    mean_dn = np.zeros((sensor.height, sensor.width))
    total = np.zeros((sensor.height, sensor.width), np.float32)
    for pair in take.pairs:
        raw = take.raw(pair, role)
        mean_dn += raw / len(take.pairs)
        total += develop(raw, Development(sensor.black_level_dn)) @ GREY_WEIGHTS
    check_exposure(mean_dn, sensor.black_level_dn, role, take.name)
    grey: Grey = total / np.float32(len(take.pairs))
    return grey


def check_exposure(mean_dn: npt.NDArray[np.float64], black_level_dn: float, role: Role, name: str) -> None:
    """Raise Refused when an averaged raw frame is too dark or too bright to align. mean_dn: (H, W)."""
    fix = f"change [reference.{role}] in rig.toml (exposure_us, gain_db) and shoot the reference again"
    light = float(np.percentile(mean_dn, 95)) - black_level_dn
    if light < 0.5:
        raise Refused(f"{name}: the {role} camera saw next to nothing (95 % of its pixels are within {light:.2f} DN "
                      "of black)", fix)  # fmt: skip
    clipped = float(np.mean(mean_dn >= WHITE_DN - 1))
    if clipped > 0.25:
        raise Refused(f"{name}: {100 * clipped:.0f} % of the {role} camera's pixels are saturated", fix)


def local_contrast(grey: Grey, smooth_px: float, window_px: float) -> Grey:
    """A picture with its local mean taken off and divided by its local spread: float32 (H, W), about -3..3.

    This is what makes a bright and a dark view comparable: gain, offset, vignetting and the filter's tint drop out.
    """
    import cv2

    smooth = cv2.GaussianBlur(grey, (0, 0), smooth_px)
    detail = smooth - cv2.GaussianBlur(smooth, (0, 0), window_px)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), window_px))
    # a floor keeps flat parts flat instead of blowing their noise up to full contrast
    normalised: Grey = detail / (spread + 0.1 * float(spread.mean()) + 1e-9)
    return normalised
