"""Checks of a reference before it is aligned: not black, not saturated, not blank, nothing moving."""

from __future__ import annotations

import numpy as np

from exlcap.align.luminance import Grey, Mean, local_mean
from exlcap.align.register import SHOOT_AGAIN, shrunk
from exlcap.core.errors import Refused
from exlcap.core.rig import LIGHTS, WHITE_DN, Light
from exlcap.core.take import Raw, Take

STATIC = "shoot the reference of a scene without people, from a tripod that nobody touches"
EXPOSE = (
    "{change} exposure_us or gain_db of [reference.{light}] in rig.toml, or let `exlcap meter --reference` do it, and "
    "shoot the reference again"
)
LEAST_LIGHT_DN = 0.5
LEAST_CONTRAST = 0.01
"""Spread of the detail relative to the mean, in a picture shrunk 8 times; a painted wall has less."""
BLOCK_PX = 32
SMOOTH_PX = 5
MOVED = 3.0
"""By how many times a block's smoothed difference may exceed what white noise would leave of it."""


def check_not_black(mean_dn: Mean, black_level_dn: float, light: Light, name: str) -> None:
    """Raise Refused when an averaged raw frame, (H, W), shows no light. Blocks are judged, not pixels, so that noise is
    not taken for light.
    """
    highest_dn = float(np.percentile(shrunk(mean_dn, 16), 95)) - black_level_dn
    if highest_dn < LEAST_LIGHT_DN:
        raise Refused(f"{name}: the {light} camera saw next to nothing (95 % of its picture is within "
                      f"{highest_dn:.2f} DN of black)", EXPOSE.format(light=light, change="raise"))  # fmt: skip


def check_not_saturated(mean_dn: Mean, light: Light, name: str) -> None:
    """Raise Refused when much of an averaged raw frame, (H, W), is white."""
    clipped = float(np.mean(mean_dn >= WHITE_DN - 1))
    if clipped > 0.25:
        raise Refused(f"{name}: {100 * clipped:.0f} % of the {light} camera's pixels are saturated",
                      EXPOSE.format(light=light, change="lower"))  # fmt: skip


def check_texture(well: Grey, name: str) -> None:
    """Raise Refused when the bright picture, float32 (H, W), shows hardly any detail."""
    small = shrunk(well, 8)
    contrast = float(np.std(small - local_mean(small, 12.0)) / max(float(small.mean()), 1e-9))
    if contrast < LEAST_CONTRAST:
        raise Refused(f"{name} shows no texture: its detail is {100 * contrast:.2f} % of its mean, "
                      f"at least {100 * LEAST_CONTRAST:.0f} % is needed", SHOOT_AGAIN)  # fmt: skip


def check_static(take: Take, moved_share: float) -> None:
    """Raise Refused when more than this share of either camera's picture moved between the first and the last frame."""
    if len(take.pairs) < 2:
        return
    first, last = take.pairs[0], take.pairs[-1]
    for light in LIGHTS:
        share = share_moved(take.raw(first, light), take.raw(last, light), take.header.rig.sensor.black_level_dn)
        if share > moved_share:
            raise Refused(f"{take.name}: {100 * share:.0f} % of the {light} camera's picture moved between its first "
                          f"and its last frame ({100 * moved_share:.0f} % allowed)", STATIC)  # fmt: skip


def share_moved(first: Raw, last: Raw, black_level_dn: float) -> float:
    """Share of the blocks in which two raw frames, (H, W), differ by more than noise and a change of the light.

    Noise is white: smoothing over n pixels leaves 1 / n of its variance, whatever its size. Motion is not. Lamps on
    mains flicker, so the first frame is brought to the mean of the last.
    """
    import cv2

    before, after = (frame.astype(np.float32) - np.float32(black_level_dn) for frame in (first, last))
    change = after - before * np.float32(after.mean() / max(float(before.mean()), 1.0))
    rows, columns = (length // BLOCK_PX for length in change.shape)
    spreads = [
        picture[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX).var((1, 3))
        for picture in (change, cv2.blur(change, (SMOOTH_PX, SMOOTH_PX)))
    ]
    return float(np.mean(spreads[1] * SMOOTH_PX**2 > MOVED * spreads[0]))
