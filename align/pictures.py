"""From a reference take to two pictures that can be compared: averaged, linear, and free of the difference in light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exlcap.errors import Refused
from exlcap.rig import WHITE_DN, Role
from exlcap.take import Take

Grey = npt.NDArray[np.float32]
Mean = npt.NDArray[np.float32]
"""Mean of raw frames, float32 (H, W), 12-bit numbers (DN), still a Bayer mosaic."""
NEARLY_WHITE = 0.97
"""Linear light from which a pixel may have been saturated in some of the frames."""


def average_raw(take: Take, role: Role) -> Mean:
    """Mean of a camera's raw frames: float32 (H, W), DN. Raises Refused when the take has none."""
    if not take.pairs:
        raise Refused(f"{take.name} has no pairs", "shoot a reference with `exlcap shoot --reference`")
    total = np.zeros((take.header.rig.sensor.height, take.header.rig.sensor.width), np.uint32)
    for pair in take.pairs:
        total += take.raw(pair, role)
    return (total / len(take.pairs)).astype(np.float32)


def luminance(mean_dn: Mean, black_level_dn: float) -> Grey:
    """Linear light of a Bayer mosaic, a quarter red, half green, a quarter blue: float32 (H, W), 0 black, 1 white.

    The binomial filter gives every pixel the same weights of the three colours and takes out the colour carriers of
    the mosaic (Alleysson, Suesstrunk and Herault, IEEE TIP 2005). It is symmetric, so pixel centres stay where they
    are, also of the mirrored camera, whose pattern runs the other way.
    """
    import cv2

    binomial = np.array([1, 2, 1], np.float32) / 4
    scale = np.float32(1 / (WHITE_DN - black_level_dn))
    grey: Grey = cv2.sepFilter2D((mean_dn - np.float32(black_level_dn)) * scale, cv2.CV_32F, binomial, binomial)
    return grey


def average_grey(take: Take, role: Role) -> Grey:
    """Luminance of the mean of a camera's frames. Raises Refused when the picture is black or saturated."""
    black = take.header.rig.sensor.black_level_dn
    mean_dn = average_raw(take, role)
    check_exposure(mean_dn, black, role, take.name)
    return luminance(mean_dn, black)


def check_exposure(mean_dn: Mean, black_level_dn: float, role: Role, name: str) -> None:
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
