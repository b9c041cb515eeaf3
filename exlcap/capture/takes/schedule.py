"""The schedule of a take: what both cameras are set to in each step, and whether they can do it.

Both cameras expose base / k. The bright camera makes up for it with 20 log10 k dB of gain; the dark one's gain never
changes, so its frames get darker by k (Lee et al., CVPR 2023, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from exlcap.capture.cameras.contract import CameraLimits
from exlcap.core.errors import ExlcapError
from exlcap.core.rig import LIGHTS, Light, Limits, Rig, Setting
from exlcap.core.take import Step

FRAME_HEAD_BYTES = 4096
"""The most that a file's header and the lists' lines add to a frame."""
SPARE_BYTES = 50 * 1024 * 1024
"""Room left on the disk besides the frames, for the lists and for other programs."""
MARGIN_US = 500.0
"""The least time a camera needs from the end of one exposure until it is ready for the next pulse."""


def frame_bytes(rig: Rig) -> int:
    """Bytes of a raw frame."""
    return 2 * rig.sensor.width * rig.sensor.height


def pairs_bytes(rig: Rig, pairs: int) -> int:
    """Room that pairs take on the disk, with what the lists and other programs need."""
    return 2 * pairs * (frame_bytes(rig) + FRAME_HEAD_BYTES) + SPARE_BYTES


def steps_for_scene(rig: Rig, base: Setting, divisors: Sequence[int]) -> tuple[Step, ...]:
    """The steps of a take of a scene. base: exposure and gain of the bright camera at k = 1.

    Raises ExlcapError for a divisor that is not a whole number from 1 to 99 or comes twice, and for a setting that no
    camera can take.
    """
    if not divisors or len(set(divisors)) != len(divisors) or any(not 1 <= k <= 99 for k in divisors):
        raise ExlcapError(
            f"schedule {', '.join(map(str, divisors)) or '(empty)'} is not a list of different divisors from 1 to 99",
            "name a preset of rig.toml, or give divisors such as 1,2,4,8,12",
        )
    return tuple(_step(k, base, rig.low.gain_db) for k in divisors)


def _step(k: int, base: Setting, low_gain_db: float) -> Step:
    exposure_us = base.exposure_us / k
    well_gain_db = base.gain_db + 20 * math.log10(k)
    if exposure_us < 1 or well_gain_db > 48:
        raise ExlcapError(
            f"step k = {k} would need {exposure_us:.2f} us and {well_gain_db:.2f} dB: no camera can do that",
            "use a longer base exposure or a lower base gain, or leave the step out with --schedule",
        )
    return Step(
        k=k,
        well=Setting(exposure_us=exposure_us, gain_db=well_gain_db),
        low=Setting(exposure_us=exposure_us, gain_db=low_gain_db),
    )


def steps_for_reference(rig: Rig, at_scene: str | None = None) -> tuple[Step, ...]:
    """The one step of a static reference: each camera has its own exposure, or both have those of a scene at k = 1."""
    if at_scene is not None:
        return steps_for_scene(rig, rig.scene_base(at_scene), (1,))
    return (Step(k=1, well=rig.reference.well, low=rig.reference.low),)


def check_limits(
    steps: Sequence[Step], rig: Rig, cameras: Mapping[Light, CameraLimits], fixed_rate: bool = True
) -> None:
    """Raise ExlcapError, naming step and value, when a step asks for what the rig's limits or a camera do not allow.

    fixed_rate: pulses must keep the rig's rate. For a static reference they may wait for a long exposure instead.
    """
    for step in steps:
        for light in LIGHTS:
            where = f"step k = {step.k}: {light} camera"
            _check_setting(where, step.setting(light), rig.limits, cameras[light])
            if fixed_rate:
                _check_period(where, step.setting(light), rig.sync.pulse_hz, cameras[light])


def _check_setting(where: str, setting: Setting, rig: Limits, camera: CameraLimits) -> None:
    bounds = (
        ("exposure", setting.exposure_us, "us", rig.exposure_us_min, rig.exposure_us_max, "rig.toml"),
        ("exposure", setting.exposure_us, "us", camera.exposure_us_min, camera.exposure_us_max, "the camera"),
        ("gain", setting.gain_db, "dB", 0.0, rig.gain_db_max, "rig.toml"),
        ("gain", setting.gain_db, "dB", 0.0, camera.gain_db_max, "the camera"),
    )
    for what, value, unit, least, most, whose in bounds:
        if not least <= value <= most:
            side, limit = ("below", least) if value < least else ("above", most)
            raise ExlcapError(
                f"{where}: {what} {value:.2f} {unit} is {side} the limit of {whose}, {limit:g} {unit}",
                "change the scene's base exposure or gain, or leave the step out with --schedule",
            )


def _check_period(where: str, setting: Setting, pulse_hz: float, camera: CameraLimits) -> None:
    period_us = 1e6 / pulse_hz
    if setting.exposure_us + MARGIN_US > period_us:
        raise ExlcapError(
            f"{where}: exposure {setting.exposure_us:.0f} us and {MARGIN_US:.0f} us to get ready do not fit between "
            f"pulses {period_us:.0f} us apart ({pulse_hz:g} Hz)",
            "lower sync.pulse_hz in rig.toml or shorten the exposure",
        )
    if camera.frame_rate_hz is not None and pulse_hz > camera.frame_rate_hz:
        raise ExlcapError(
            f"{where}: {pulse_hz:g} pulses/s, but the camera can take {camera.frame_rate_hz:.1f} frames/s",
            "lower sync.pulse_hz in rig.toml; pulses that come too soon are ignored by the camera",
        )
