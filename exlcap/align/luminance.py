"""From raw frames to two pictures that can be compared: averaged, linear, and normalised to local contrast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from exlcap.core.errors import Refused
from exlcap.core.rig import WHITE_DN, Light
from exlcap.core.take import Pair, Take

Grey = npt.NDArray[np.float32]
Mean = npt.NDArray[np.float32]
"""Mean of raw frames, float32 (H, W), 12-bit numbers (DN), still a Bayer mosaic."""
NEARLY_WHITE = 0.97
"""Linear light from which a pixel may have been saturated in some of the frames."""


def average_raw(take: Take, light: Light) -> Mean:
    """Mean of a camera's raw frames: float32 (H, W), DN. Raises Refused when the take has none."""
    if not take.pairs:
        raise Refused(f"{take.name} has no pairs", "shoot a reference with `exlcap shoot --reference`")
    return mean_of(take, take.pairs, light)


def mean_of(take: Take, pairs: Sequence[Pair], light: Light) -> Mean:
    """Mean of a camera's raw frames in some pairs of a take: float32 (H, W), DN."""
    total = np.zeros((take.header.rig.sensor.height, take.header.rig.sensor.width), np.uint32)
    for pair in pairs:
        total += take.raw(pair, light)
    return (total / len(pairs)).astype(np.float32)


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


def local_mean(grey: Grey, window_px: float) -> Grey:
    """Mean about every pixel, Gaussian."""
    import cv2

    return np.asarray(cv2.GaussianBlur(grey, (0, 0), window_px), np.float32)


def local_contrast(grey: Grey, smooth_px: float, window_px: float) -> Grey:
    """A picture with its local mean taken off and divided by its local spread: float32 (H, W), about -3..3.

    This is what makes a bright and a dark view comparable: gain, offset, vignetting and the filter's tint drop out.
    """
    smooth = local_mean(grey, smooth_px)
    detail: Grey = smooth - local_mean(smooth, window_px)
    spread: Grey = np.sqrt(local_mean(detail * detail, window_px))
    # a floor keeps flat parts flat instead of blowing their noise up to full contrast
    normalised: Grey = detail / (spread + 0.1 * float(spread.mean()) + 1e-9)
    return normalised
