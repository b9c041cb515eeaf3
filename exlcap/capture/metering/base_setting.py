"""Base exposure and gain of a scene, found by measuring: the longest exposure without blur, then the gain it needs.

A sensor is linear, so one frame that is neither clipped nor black shows how much more exposure times gain brings its
highlights just under clipping; a few frames at that setting prove it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exlcap.capture.cameras.contract import CameraLimits
from exlcap.capture.takes.schedule import MARGIN_US
from exlcap.core.errors import ExlcapError, Refused
from exlcap.core.rig import LIGHTS, WHITE_DN, Light, Rig, Setting
from exlcap.core.take import Raw

TARGET = 0.9
"""Where the highlights belong, as a share of white: 0.15 stop below clipping."""
CLIPPED = 0.995
"""From here on the highlights may be anywhere above white."""
TOLERANCE_STOPS = 0.05
MOST_MEASUREMENTS = 12
BACK_OFF = 8.0
"""How much less light to try when the highlights are clipped, which hides by how much."""
LEAST_SIGNAL = 5.0
"""Highlights fewer standard deviations of the noise above black than this count as no light."""


@dataclass(frozen=True)
class Seen:
    """What the bright camera sees at a setting, levels as shares of white above the dark level.

    highlights: the level that the asked share of the pixels stays below, in the brightest of the three colours.
    clipped_share: of all pixels. noise: standard deviation from frame to frame. frame: one of them, uint16 (H, W).
    """

    highlights: float
    clipped_share: float
    noise: float
    frame: Raw


@dataclass(frozen=True)
class Bounds:
    """What a setting must keep to, so that every step can be shot. longest: why no exposure may be longer.

    last_k: of the schedule; 1 for a static reference, which has no steps.
    """

    exposure_us_min: float
    exposure_us_max: float
    gain_db_max: float
    longest: str
    last_k: int

    @property
    def whose(self) -> str:
        """What draws the bounds, in words."""
        return "rig.toml leaves" if self.last_k == 1 else f"step k = {self.last_k} leaves"

    @property
    def light(self) -> tuple[float, float]:
        """Least and most exposure times gain, in us at 0 dB."""
        return self.exposure_us_min, self.exposure_us_max * 10 ** (self.gain_db_max / 20)

    def setting(self, light: float) -> Setting:
        """The setting of an exposure times gain: as much of it exposure as may be, never more light than asked."""
        exposure_us = max(_floor(min(light, self.exposure_us_max), 0.1), self.exposure_us_min)
        gain_db = 20 * math.log10(max(light / exposure_us, 1.0))
        return Setting(exposure_us=exposure_us, gain_db=_floor(min(gain_db, self.gain_db_max), 0.01))


@dataclass(frozen=True)
class Metered:
    """A base setting, what the bright camera sees at it, how often it was measured, and what had to give way."""

    setting: Setting
    seen: Seen
    measurements: int
    gives_way: str | None


def bounds_of(
    rig: Rig, divisors: Sequence[int], cameras: Mapping[Light, CameraLimits], longest_us: float, why: str
) -> Bounds:
    """What the rig, its cameras and the schedule leave, with exposures up to `longest_us`, for the reason `why`.

    Raises ExlcapError when they leave nothing.
    """
    last = max(divisors)
    shortest_us = max(rig.limits.exposure_us_min, *(cameras[light].exposure_us_min for light in LIGHTS))
    least_us = math.ceil(10 * last * shortest_us - 1e-6) / 10
    longest = min(
        (longest_us, why),
        (rig.limits.exposure_us_max, "limits.exposure_us_max of rig.toml"),
        (min(cameras[light].exposure_us_max for light in LIGHTS), "the camera"),
        (_longest_between_pulses(rig), f"{rig.sync.pulse_hz:g} pulses/s (sync.pulse_hz of rig.toml)"),
    )
    most_db = min(rig.limits.gain_db_max, cameras["well"].gain_db_max) - 20 * math.log10(last)
    if longest[0] < least_us:
        raise ExlcapError(
            f"{longest[1]}: at most {longest[0]:.0f} us, but step k = {last} needs a base of {least_us:.0f} us or more",
            "allow more blur, or take a schedule with smaller divisors (preset of the scene in rig.toml)",
        )
    if most_db < 0:
        raise ExlcapError(
            f"step k = {last} needs {20 * math.log10(last):.1f} dB more than the base, the cameras may have "
            f"{min(rig.limits.gain_db_max, cameras['well'].gain_db_max):g} dB in all",
            "take a schedule with smaller divisors, or raise limits.gain_db_max in rig.toml if the camera can do more",
        )
    return Bounds(least_us, longest[0], most_db, longest[1], last)


def bounds_of_reference(rig: Rig, camera: CameraLimits) -> Bounds:
    """What rig and camera leave for a static reference, whose pulses may wait for a long exposure."""
    longest = min(
        (rig.limits.exposure_us_max, "limits.exposure_us_max of rig.toml"),
        (camera.exposure_us_max, "the camera"),
        (_longest_between_pulses(rig) if rig.sync.mode == "external" else math.inf, "the pulses from outside"),
    )
    shortest_us = max(rig.limits.exposure_us_min, camera.exposure_us_min)
    return Bounds(shortest_us, longest[0], min(rig.limits.gain_db_max, camera.gain_db_max), longest[1], last_k=1)


def _longest_between_pulses(rig: Rig) -> float:
    return 1e6 / rig.sync.pulse_hz - MARGIN_US


def look(frames: Sequence[Raw], dark_level_dn: float, percentile: float) -> Seen:
    """What frames of one setting show: uint16 (H, W), 12-bit RGGB, at least two."""
    red, green, blue = (
        np.sum([np.bincount(frame[row::2, column::2].ravel(), minlength=WHITE_DN + 1)
                for frame in frames for row, column in places], axis=0)
        for places in (((0, 0),), ((0, 1), (1, 0)), ((1, 1),))
    )  # fmt: skip
    counts = (red, green, blue)
    brightest = max(int(np.searchsorted(np.cumsum(n), percentile / 100 * n.sum())) for n in counts)
    white = WHITE_DN - dark_level_dn
    change = np.abs(frames[-1].astype(np.int32) - frames[0])
    return Seen(
        highlights=(brightest - dark_level_dn) / white,
        clipped_share=float(sum(n[WHITE_DN] for n in counts) / sum(n.sum() for n in counts)),
        # the median of |difference| is 0.954 standard deviations of a frame's noise, whatever moves
        noise=max(float(np.median(change)) / 0.954, 0.5) / white,
        frame=frames[-1],
    )


def find_base(measure: Callable[[Setting], Seen], bounds: Bounds, start: Setting) -> Metered:
    """The brightest setting within bounds that keeps the highlights at `TARGET`.

    measure: sets a camera and looks. Raises Refused when there is no light, or too much for the shortest exposure.
    """
    least, most = bounds.light
    light = min(max(start.exposure_us * 10 ** (start.gain_db / 20), least), most)
    for count in range(1, MOST_MEASUREMENTS + 1):
        setting = bounds.setting(light)
        seen = measure(setting)
        factor = 1 / BACK_OFF if seen.highlights >= CLIPPED else TARGET / max(seen.highlights, TARGET / 1000)
        following = min(max(light * factor, least), most)
        if abs(math.log2(following / light)) < TOLERANCE_STOPS:
            _check_light(seen, setting, bounds)
            return Metered(setting, seen, count, _lacking(seen, bounds))
        light = following
    raise Refused(
        f"the light changes from measurement to measurement; the highlights were last at {seen.highlights:.2f} of 1",
        "look for lamps that flicker, or for something bright that moves through the picture, and meter again",
    )


def _check_light(seen: Seen, setting: Setting, bounds: Bounds) -> None:
    """Raise Refused when a setting at the bounds shows next to nothing, or nothing but white."""
    at = f"at {setting.exposure_us:g} us, {setting.gain_db:.2f} dB"
    if seen.highlights < LEAST_SIGNAL * seen.noise:
        raise Refused(
            f"the camera sees next to nothing {at}, the most that {bounds.whose}",
            "take off the lens cap, open the aperture, or light the scene",
        )
    if seen.highlights >= CLIPPED:
        raise Refused(
            f"the highlights are clipped even {at}, the least that {bounds.whose}",
            "close the aperture, dim the light, or take a schedule with smaller divisors",
        )


def _lacking(seen: Seen, bounds: Bounds) -> str | None:
    """What gives way when the most light that the bounds leave is too little."""
    stops = math.log2(TARGET / seen.highlights)
    if stops < TOLERANCE_STOPS:
        return None
    if bounds.last_k == 1:
        return f"brightness: exposure and gain are at their limits, the picture is {stops:.2f} stops too dark"
    fitting = [k for k in range(1, bounds.last_k) if 20 * math.log10(bounds.last_k / k) >= 20 * math.log10(2) * stops]
    schedule = f", or a schedule that ends at k = {fitting[-1]}" if fitting else ""
    return (
        f"brightness: the gain of step k = {bounds.last_k} is at its limit, so every step is {stops:.2f} stops darker "
        f"than it should be; to have it all: {2**stops:.2g} times the light or the exposure{schedule}"
    )


def _floor(value: float, step: float) -> float:
    """Rounded down to a whole number of steps, without making rounding errors a step."""
    return round(math.floor(value / step + 1e-6) * step, 6)
